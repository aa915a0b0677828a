"""``imbdense.LDAMLoss``."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from imbdense.core.checks import check_choice, check_number
from imbdense.core.losses import ldam_loss
from imbdense.core.losses.ldam import LOGIT_SCALES, ldam_margins
from imbdense.mm.losses.base import LossCall, loss_arguments
from imbdense.mm.losses.softmax import SoftmaxLoss
from imbdense.mm.losses.weighted import WeightedLoss
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class LDAMLoss(WeightedLoss, SoftmaxLoss):
    """Cross-entropy with a margin that grows as the label's class gets rarer; for cosine classifiers.

    ``loss = CE(s (z - m_y e_y))``, ``m_c = max_m n_c^(-1/4) / max_k n_k^(-1/4)``; see
    :func:`imbdense.core.losses.ldam_loss` for shapes and edge cases, :class:`CountedLoss` for where the counts come
    from and for the state. While deferred: the margins without the weights of ``scheme`` (so ``scheme='effective'``
    with ``DeferredRebalanceHook`` is LDAM-DRW).

    Ledger: the margins alone hardly move the decision between two classes, by -log(1 + e^{-s m_c}), exact for two
    classes; weights w by log w.

    Args:
        max_m: margin of the rarest class, >= 0.
        s: scale > 0.
        logit_scale: 'inside' = the logits are cosines, the loss scales them; 'outside' = the head scales them by s.
        scheme, gamma, beta: class weights, see :class:`WeightedLoss`; ``None`` = none.
        others: see :class:`SoftmaxLoss`.
    """

    max_m: float = 0.5
    s: float = 30.0
    logit_scale: str = 'inside'
    loss_name: str = 'loss_ldam'

    card = 'ldam'
    tasks = ('segmentation', 'detection', 'points', 'volumes')

    def __post_init__(self) -> None:
        super().__post_init__()
        self.max_m = check_number('max_m', self.max_m, low=0.0, owner='LDAMLoss')
        self.s = check_number('s', self.s, low=0.0, low_open=True, owner='LDAMLoss')
        check_choice('logit_scale', self.logit_scale, LOGIT_SCALES, owner='LDAMLoss')

    def corrected(self, pred: Tensor, target: Tensor, counts: Tensor, call: LossCall) -> Tensor:
        """Margins and weights."""
        return self._with_margins(pred, target, counts, self.channel_weights(pred, counts), call)

    def plain(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """Margins without weights; running counts go on."""
        counts = self.counts_for(pred, target, call)
        target = self.drop_removed(target, counts, call.ignore_index)
        return self._with_margins(pred, target, counts, self.with_fixed(None, pred), call)

    def _with_margins(
        self, pred: Tensor, target: Tensor, counts: Tensor, class_weight: Tensor | None, call: LossCall
    ) -> Tensor:
        return ldam_loss(
            pred, target, counts, max_m=self.max_m, s=self.s, logit_scale=self.logit_scale, class_weight=class_weight,
            empty_class=self.empty_class, **call.options,
        )

    def log_change(self, counts: Tensor) -> Tensor:
        """Weights, and the slope of the loss at the boundary: the classes tie where w_c p_c / (1 + e^{-s m_c}) do."""
        return super().log_change(counts) - softplus(-self.s * ldam_margins(counts, self.max_m))
