"""``imbdense.PerClassDiceLoss``."""

from __future__ import annotations

from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.losses import per_class_dice_loss
from imbdense.mm.losses.base import LossCall, loss_arguments
from imbdense.mm.losses.overlap import OverlapLoss
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class PerClassDiceLoss(OverlapLoss):
    """Dice per class and then the mean over classes, with ignored pixels and absent classes left out.

    ``loss = sum_c w_c (1 - Dice_c) / sum_c w_c``; see :func:`imbdense.core.losses.per_class_dice_loss` for shapes and
    edge cases. mmseg's DiceLoss pools all classes and pixels into one Dice and counts ignored pixels as negatives.
    Stateless: nothing is saved or reduced; each rank uses its own batch.

    Args:
        squared: squares in the denominator (V-Net).
        smooth: > 0.
        others: see :class:`OverlapLoss`.
    """

    squared: bool = False
    smooth: float = 1e-3
    loss_name: str = 'loss_dice'

    card = 'per_class_dice'
    tasks = ('segmentation', 'points', 'volumes')

    def __post_init__(self) -> None:
        super().__post_init__()
        self.smooth = check_number('smooth', self.smooth, low=0.0, low_open=True, owner='PerClassDiceLoss')

    def rebalanced(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """One Dice per class."""
        options = self.overlap_options(call)
        return per_class_dice_loss(pred, target, squared=self.squared, smooth=self.smooth, **options)
