"""``imbdense.PerClassDiceLoss``."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from imbdense.core.checks import check_choice, check_number
from imbdense.core.losses import per_class_dice_loss
from imbdense.core.losses.per_class_dice import DICE_GROUPS
from imbdense.mm.losses.base import DenseLoss
from imbdense.registry import MODELS


@MODELS.register_module()
class PerClassDiceLoss(DenseLoss):
    """Dice per class and then the mean over classes, with ignored pixels and absent classes left out.

    ``loss = sum_c w_c (1 - Dice_c) / sum_c w_c``; see :func:`imbdense.core.losses.per_class_dice_loss` for shapes and
    edge cases. mmseg's DiceLoss pools all classes and pixels into one Dice and counts ignored pixels as negatives.
    Stateless: nothing is saved or reduced; each rank uses its own batch. It does not change the class prior that the
    softmax encodes in a way the ledger could state, so it declares nothing.

    Args:
        per: 'batch' or 'image': where the sums run.
        skip_absent: leave out classes without a labelled pixel.
        include_background: ``False`` leaves out class 0.
        squared: squares in the denominator (V-Net).
        smooth: > 0.
        use_sigmoid: probabilities by sigmoid instead of softmax.
        class_weight: (C,) weights of the classes in the mean.
        others: see :class:`DenseLoss`.
    """

    card = 'per_class_dice'
    tasks = ('segmentation', 'points', 'volumes')

    def __init__(
        self,
        per: str = 'batch',
        skip_absent: bool = True,
        include_background: bool = True,
        squared: bool = False,
        smooth: float = 1e-3,
        use_sigmoid: bool = False,
        class_weight: Sequence[float] | Tensor | None = None,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_dice',
        reduction: str = 'mean',
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(loss_weight, loss_name, reduction, 'weight_sum', ignore_index, class_weight)
        self.per = check_choice('per', per, DICE_GROUPS, owner='PerClassDiceLoss')
        self.skip_absent = bool(skip_absent)
        self.include_background = bool(include_background)
        self.squared = bool(squared)
        self.smooth = check_number('smooth', smooth, low=0.0, low_open=True, owner='PerClassDiceLoss')
        self.use_sigmoid = bool(use_sigmoid)

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: str | None = None,
        ignore_index: int | None = None,
    ) -> Tensor:
        """Compute the loss; arguments as mmseg decode heads pass them, see :class:`CountedLoss`."""
        return self.loss_weight * per_class_dice_loss(
            pred, target, per=self.per, skip_absent=self.skip_absent, include_background=self.include_background,
            squared=self.squared, smooth=self.smooth, use_sigmoid=self.use_sigmoid, class_weight=self.fixed_weight,
            ignore_index=self.effective_ignore(pred, ignore_index), weight=weight, avg_factor=avg_factor,
            reduction=self.effective_reduction(reduction_override),
        )
