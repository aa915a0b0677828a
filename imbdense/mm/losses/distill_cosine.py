"""``imbdense.DistillCosineLoss``."""

from __future__ import annotations

from torch import Tensor, nn

from imbdense.core.checks import check_integer, check_number
from imbdense.core.losses import distill_cosine_loss
from imbdense.registry import MODELS


@MODELS.register_module()
class DistillCosineLoss(nn.Module):
    """Loss of a distillation: features shall point where those of the teacher point.

    ``loss_weight * (2 / C) mean (1 - cos)`` over the rows with a teacher (not all zeros); see
    :func:`imbdense.core.losses.distill_cosine_loss`. Float32 under autocast, no state; each rank takes the mean of its
    own rows.

    Args:
        dims: C, channels of the teacher; the model projects its features to so many.
        loss_weight: >= 0.
        loss_name: key of the term; must hold 'loss' to be optimised.
    """

    card = 'pointdc'
    tasks = ('features',)
    conformance_arguments = {'dims': 70}

    def __init__(self, dims: int, loss_weight: float = 1.0, loss_name: str = 'loss_distill') -> None:
        super().__init__()
        self.dims = check_integer('dims', dims, low=1, owner='DistillCosineLoss')
        self.loss_weight = check_number('loss_weight', loss_weight, low=0.0, owner='DistillCosineLoss')
        self.loss_name = loss_name

    def forward(self, pred: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
        """Scalar loss of (P, C) features and targets; ``valid`` (P,) bool leaves rows out."""
        return self.loss_weight * distill_cosine_loss(pred, target, valid=valid)
