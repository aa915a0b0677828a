"""``imbdense.AUCSquareLoss``."""

from __future__ import annotations

from torch import Tensor

from imbdense.core.checks import check_choice
from imbdense.core.losses import auc_square_loss
from imbdense.mm.losses.base import DenseLoss, LossCall, loss_arguments
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class AUCSquareLoss(DenseLoss):
    """Pairwise order of the scores between every two classes, a second term beside a cross-entropy.

    ``loss = mean_i mean_j mean_{p in i, q in j} (1 - s_i(p) + s_i(q)) ** 2 / 2`` with s = sigmoid of the logits; see
    :func:`imbdense.core.losses.auc_square_loss`. Stateless; each rank uses its own batch. Not meant alone: it is silent
    about the decision between the classes.

    Args:
        class_weight: (C,) weights of the classes in the outer mean.
        normalizer: must stay 'weight_sum', the mean over classes.
        others: see :class:`DenseLoss`.
    """

    loss_name: str = 'loss_auc'

    card = 'auc_square'
    tasks = ('segmentation', 'points', 'volumes')

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice('normalizer', self.normalizer, ('weight_sum',), owner='AUCSquareLoss')

    def rebalanced(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """The square surrogate over all pairs of classes."""
        options = {name: value for name, value in call.options.items() if name != 'normalizer'}
        return auc_square_loss(pred, target, class_weight=self.fixed_weight, **options)

    def plain(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """The same: it uses no class counts, there is nothing to defer."""
        return self.rebalanced(pred, target, call)
