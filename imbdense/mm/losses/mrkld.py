"""``imbdense.MRKLDLoss``."""

from __future__ import annotations

from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.losses import mrkld_loss
from imbdense.mm.losses.base import DenseLoss, LossCall, loss_arguments
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class MRKLDLoss(DenseLoss):
    """Cross-entropy on pseudo-labels that keeps the model from being too sure of them (CRST, MRKLD).

    ``loss = mean_i(-log p_y + alpha * mean_c(-log p_c))``; see :func:`imbdense.core.losses.mrkld_loss`. While deferred:
    cross-entropy. No state; the class prior is left as it is.

    Args:
        alpha: strength of the regulariser, >= 0.
        others: see :class:`DenseLoss`.
    """

    alpha: float = 0.1
    loss_name: str = 'loss_mrkld'

    card = 'pseudo_label_rules'
    tasks = ('segmentation', 'points', 'volumes')

    def __post_init__(self) -> None:
        super().__post_init__()
        self.alpha = check_number('alpha', self.alpha, low=0.0, owner='MRKLDLoss')

    def rebalanced(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """Cross-entropy plus regulariser."""
        return mrkld_loss(pred, target, alpha=self.alpha, class_weight=self.fixed_weight, **call.options)
