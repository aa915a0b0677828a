"""``imbdense.PerClassTverskyLoss``."""

from __future__ import annotations

from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.losses import per_class_tversky_loss
from imbdense.mm.losses.base import LossCall, loss_arguments
from imbdense.mm.losses.overlap import OverlapLoss
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class PerClassTverskyLoss(OverlapLoss):
    """Tversky loss per class, where a miss may cost more than a false alarm; with gamma < 1 the focal Tversky loss.

    ``loss = mean_c (1 - TI_c) ** gamma``, TI_c = TP / (TP + fp_weight FP + fn_weight FN); see
    :func:`imbdense.core.losses.per_class_tversky_loss` for shapes and edge cases. Stateless, declares nothing to the
    ledger.

    Args:
        fp_weight, fn_weight: price of a false alarm and of a miss.
        gamma: exponent > 0; 0.75 is the usual focal form.
        smooth: > 0.
        others: see :class:`OverlapLoss`.
    """

    fp_weight: float = 0.3
    fn_weight: float = 0.7
    gamma: float = 1.0
    smooth: float = 1e-3
    loss_name: str = 'loss_tversky'

    card = 'per_class_tversky'
    tasks = ('segmentation', 'points', 'volumes')

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, strict in (('fp_weight', False), ('fn_weight', False), ('gamma', True), ('smooth', True)):
            value = check_number(name, getattr(self, name), low=0.0, low_open=strict, owner='PerClassTverskyLoss')
            setattr(self, name, value)

    def rebalanced(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """One Tversky index per class."""
        return per_class_tversky_loss(
            pred, target, fp_weight=self.fp_weight, fn_weight=self.fn_weight, gamma=self.gamma,
            smooth=self.smooth, **self.overlap_options(call),
        )
