"""``imbdense.BalancedLogitVariationLoss``."""

from __future__ import annotations

from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.losses import balanced_logit_variation_loss
from imbdense.core.losses.balanced_logit_variation import noise_levels, variation_scale
from imbdense.mm.losses.base import LossCall, loss_arguments
from imbdense.mm.losses.softmax import SoftmaxLoss
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class BalancedLogitVariationLoss(SoftmaxLoss):
    """Cross-entropy of logits with noise that is larger for rare classes (BLV), while training.

    ``z_c <- z_c + |xi| q_c / max q``, ``q_c = log(sum(n) / n_c)``; see
    :func:`imbdense.core.losses.balanced_logit_variation_loss` for shapes and edge cases, :class:`CountedLoss` for
    where the counts come from and for the state. In eval mode, and while deferred: cross-entropy. The noise is drawn
    from torch's generator of the device.

    Ledger: minus the mean of the noise, to first order. The noise raises rare logits while training and is gone at
    test time, so on average it moves the decision *away* from rare classes (by .90 nats for the rarest, sigma = 4).

    Args:
        sigma: > 0, of the normal noise before it is clamped to [-1, 1].
        others: see :class:`SoftmaxLoss`.
    """

    sigma: float = 4.0
    loss_name: str = 'loss_blv'

    card = 'balanced_logit_variation'
    tasks = ('segmentation', 'detection', 'points', 'volumes')
    randomised = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.sigma = check_number('sigma', self.sigma, low=0.0, low_open=True, owner='BalancedLogitVariationLoss')

    def rebalanced(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """Noise while training only."""
        return super().rebalanced(pred, target, call) if self.training else self.plain(pred, target, call)

    def corrected(self, pred: Tensor, target: Tensor, counts: Tensor, call: LossCall) -> Tensor:
        """Cross-entropy of the noisy logits."""
        return balanced_logit_variation_loss(
            pred, target, counts, sigma=self.sigma, class_weight=self.with_fixed(None, pred),
            empty_class=self.empty_class, **call.options,
        )

    def log_change(self, counts: Tensor) -> Tensor:
        """The bare logits end up lower by the mean of the noise."""
        return -float(noise_levels(self.sigma).mean()) * variation_scale(counts)
