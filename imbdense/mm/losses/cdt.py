"""``imbdense.CDTLoss``."""

from __future__ import annotations

from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.losses import cdt_loss
from imbdense.core.stats import fill_empty_classes
from imbdense.mm.losses.base import LossCall, loss_arguments
from imbdense.mm.losses.softmax import SoftmaxLoss
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class CDTLoss(SoftmaxLoss):
    """Cross-entropy with class-dependent temperatures while training.

    ``loss = CE(z_c / a_c)``, ``a_c = (n_max / n_c)^gamma``; at test time the bare z decides. See
    :func:`imbdense.core.losses.cdt_loss` for shapes and edge cases, :class:`CountedLoss` for where the counts come
    from and for the state. While deferred: cross-entropy.

    Ledger: how far the temperatures move the decision depends on the size of the logits, so there is no closed form.
    The *whole* correction is declared, so that nothing corrects on top of it unless ``force=True`` says so.

    Args:
        gamma: >= 0; 0 = cross-entropy. The paper has 0.1 to 0.2.
        others: see :class:`SoftmaxLoss`.
    """

    gamma: float = 0.1
    loss_name: str = 'loss_cdt'

    card = 'cdt'
    tasks = ('segmentation', 'detection', 'points', 'volumes')

    def __post_init__(self) -> None:
        super().__post_init__()
        self.gamma = check_number('gamma', self.gamma, low=0.0, owner='CDTLoss')

    def corrected(self, pred: Tensor, target: Tensor, counts: Tensor, call: LossCall) -> Tensor:
        """Cross-entropy of the tempered logits."""
        return cdt_loss(
            pred, target, counts, gamma=self.gamma, class_weight=self.with_fixed(None, pred),
            empty_class=self.empty_class, **call.options,
        )

    def log_change(self, counts: Tensor) -> Tensor:
        """An upper bound by decree: all of the imbalance, or nothing for gamma = 0."""
        full = -fill_empty_classes(counts).log()
        return full if self.gamma > 0 else full * 0.0
