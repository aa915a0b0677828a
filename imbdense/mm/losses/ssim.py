"""``imbdense.SSIMLoss``."""

from __future__ import annotations

from torch import Tensor, nn

from imbdense.core.checks import check_number
from imbdense.core.losses import ssim_loss
from imbdense.registry import MODELS


@MODELS.register_module()
class SSIMLoss(nn.Module):
    """Loss of a reconstruction: 1 minus the mean structural similarity.

    ``loss_weight * (1 - mean SSIM(pred, target))``; see :func:`imbdense.core.losses.ssim_loss`. Float32 under autocast,
    no state.

    Args:
        data_range: L > 0, the span of the values; 1 for images in [0, 1].
        loss_weight: >= 0.
        loss_name: key of the term; must hold 'loss' to be optimised.
    """

    card = 'deepcluster_pp'
    tasks = ('features',)

    def __init__(self, data_range: float = 1.0, loss_weight: float = 1.0, loss_name: str = 'loss_ssim') -> None:
        super().__init__()
        self.data_range = check_number('data_range', data_range, low=0.0, low_open=True, owner='SSIMLoss')
        self.loss_weight = check_number('loss_weight', loss_weight, low=0.0, owner='SSIMLoss')
        self.loss_name = loss_name

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Scalar loss of (N, C, H, W) images of equal shape, H and W at least 11."""
        return self.loss_weight * ssim_loss(pred, target, data_range=self.data_range)
