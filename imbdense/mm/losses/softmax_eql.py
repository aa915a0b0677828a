"""``imbdense.SoftmaxEQLLoss``."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.losses import softmax_eql_loss
from imbdense.core.losses.softmax_eql import rare_classes
from imbdense.mm.losses.base import LossCall, loss_arguments
from imbdense.mm.losses.softmax import SoftmaxLoss
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class SoftmaxEQLLoss(SoftmaxLoss):
    """Softmax equalisation loss (SEQL): rare classes are mostly left out of other elements' denominators.

    ``loss = -log( e^{z_y} / sum_k w_k e^{z_k} )`` with w_k = 0 for rare classes k != y with probability gamma; see
    :func:`imbdense.core.losses.softmax_eql_loss` for shapes and edge cases, :class:`CountedLoss` for where the counts
    come from and for the state. In eval mode, and while deferred: cross-entropy. The draw is from torch's generator
    of the device.

    Ledger: between a rare and a frequent class -log(1 - gamma), exact for two classes; nothing among rare ones.

    Args:
        gamma: probability in [0, 1) of leaving out; 0 = cross-entropy.
        threshold: share below which a class is rare (the paper's lambda, 4e-4 to 5e-3).
        others: see :class:`SoftmaxLoss`.
    """

    gamma: float = 0.9
    threshold: float = 5e-3
    loss_name: str = 'loss_seql'

    card = 'softmax_eql'
    tasks = ('segmentation', 'detection', 'points', 'volumes')
    randomised = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.gamma = check_number('gamma', self.gamma, low=0.0, high=1.0 - 1e-6, owner='SoftmaxEQLLoss')
        self.threshold = check_number('threshold', self.threshold, low=0.0, high=1.0, owner='SoftmaxEQLLoss')

    def rebalanced(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """Random while training only."""
        return super().rebalanced(pred, target, call) if self.training else self.plain(pred, target, call)

    def corrected(self, pred: Tensor, target: Tensor, counts: Tensor, call: LossCall) -> Tensor:
        """Cross-entropy with rare classes left out at random."""
        return softmax_eql_loss(
            pred, target, counts, gamma=self.gamma, threshold=self.threshold,
            class_weight=self.with_fixed(None, pred), empty_class=self.empty_class, **call.options,
        )

    def log_change(self, counts: Tensor) -> Tensor:
        """An element of a frequent class pushes a rare one down in a fraction 1 - gamma of the cases."""
        return torch.where(rare_classes(counts, self.threshold), -math.log1p(-self.gamma), 0.0).double()
