"""What the losses share that compare regions class by class: Dice, Tversky, Lovász."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from imbdense.core.checks import check_choice
from imbdense.core.losses.class_overlap import OVERLAP_GROUPS
from imbdense.mm.losses.base import DenseLoss, LossCall, loss_arguments


@loss_arguments
class OverlapLoss(DenseLoss):
    """Base of the losses that compare regions class by class.

    They do not change the class prior that the softmax encodes in a way the ledger could state, so they declare
    nothing. Without class counts there is nothing to defer either: :meth:`plain` is the loss itself.

    Args:
        per: 'batch' or 'image': where the sums run.
        skip_absent: leave out classes without a labelled pixel.
        include_background: ``False`` leaves out class 0.
        use_sigmoid: probabilities by sigmoid instead of softmax.
        class_weight: (C,) weights of the classes in the mean.
        normalizer: must stay 'weight_sum', the mean over classes.
        others: see :class:`DenseLoss`.
    """

    per: str = 'batch'
    skip_absent: bool = True
    include_background: bool = True
    use_sigmoid: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = type(self).__name__
        check_choice('per', self.per, OVERLAP_GROUPS, owner=owner)
        check_choice('normalizer', self.normalizer, ('weight_sum',), owner=owner)

    def overlap_options(self, call: LossCall) -> dict[str, Any]:
        """The keyword arguments that the functions of the family share."""
        options = {name: value for name, value in call.options.items() if name != 'normalizer'}
        return {
            'per': self.per,
            'skip_absent': self.skip_absent,
            'include_background': self.include_background,
            'use_sigmoid': self.use_sigmoid,
            'class_weight': self.fixed_weight,
            **options,
        }

    def plain(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """The loss itself."""
        return self.rebalanced(pred, target, call)
