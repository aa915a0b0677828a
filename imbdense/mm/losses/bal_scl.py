"""``imbdense.BalSCLLoss``."""

from __future__ import annotations

from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.losses import bal_scl_loss
from imbdense.mm.losses.base import DenseLoss, LossCall, loss_arguments
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class BalSCLLoss(DenseLoss):
    """Balanced supervised contrastive loss on features and class prototypes; the loss of BalSCLHead.

    See :func:`imbdense.core.losses.bal_scl_loss` for the formula. Stateless.

    Args:
        temperature: > 0.
        others: see :class:`DenseLoss`.
    """

    temperature: float = 0.1
    loss_name: str = 'loss_bal_scl'

    card = 'contrastive'
    tasks = ('features',)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.temperature = check_number('temperature', self.temperature, low=0.0, low_open=True, owner='BalSCLLoss')

    def forward(self, features: Tensor, labels: Tensor, prototypes: Tensor) -> Tensor:  # type: ignore[override]
        """Compute the loss of unit ``features`` (M, D), ``labels`` (M,) with -1 = ignored, ``prototypes`` (C, D)."""
        return self.loss_weight * bal_scl_loss(
            features, labels, prototypes, temperature=self.temperature, reduction=self.reduction
        )

    def rebalanced(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """Not used: this loss needs features."""
        raise TypeError('BalSCLLoss needs features and is the loss of imbdense.BalSCLHead, not of a decode head.')
