"""``imbdense.PerClassDiceLoss``."""

from __future__ import annotations

from torch import Tensor

from imbdense.core.checks import check_choice, check_number
from imbdense.core.losses import per_class_dice_loss
from imbdense.core.losses.per_class_dice import DICE_GROUPS
from imbdense.mm.losses.base import DenseLoss, LossCall, loss_arguments
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
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
        normalizer: must stay 'weight_sum', the mean over classes.
        others: see :class:`DenseLoss`.
    """

    per: str = 'batch'
    skip_absent: bool = True
    include_background: bool = True
    squared: bool = False
    smooth: float = 1e-3
    use_sigmoid: bool = False
    loss_name: str = 'loss_dice'

    card = 'per_class_dice'
    tasks = ('segmentation', 'points', 'volumes')

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice('per', self.per, DICE_GROUPS, owner='PerClassDiceLoss')
        check_choice('normalizer', self.normalizer, ('weight_sum',), owner='PerClassDiceLoss')
        self.smooth = check_number('smooth', self.smooth, low=0.0, low_open=True, owner='PerClassDiceLoss')

    def rebalanced(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """One Dice per class."""
        options = {name: value for name, value in call.options.items() if name != 'normalizer'}
        return per_class_dice_loss(
            pred, target, per=self.per, skip_absent=self.skip_absent, include_background=self.include_background,
            squared=self.squared, smooth=self.smooth, use_sigmoid=self.use_sigmoid, class_weight=self.fixed_weight,
            **options,
        )

    def plain(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """The same: this loss does not use class counts, there is nothing to defer."""
        return self.rebalanced(pred, target, call)
