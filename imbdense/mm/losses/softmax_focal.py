"""``imbdense.SoftmaxFocalLoss``."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.losses import softmax_focal_loss
from imbdense.mm.losses.base import LossCall, loss_arguments
from imbdense.mm.losses.softmax import SoftmaxLoss
from imbdense.mm.losses.weighted import WeightedLoss
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class SoftmaxFocalLoss(WeightedLoss, SoftmaxLoss):
    """Focal loss of the softmax, with optional class weights from counts.

    ``loss = mean_i (1 - e^{-l_i})^focal_gamma * l_i`` with ``l_i = w_{y_i} CE_i``; see
    :func:`imbdense.core.losses.softmax_focal_loss` for shapes and edge cases, :class:`CountedLoss` for where the
    counts come from. Without ``scheme`` nothing is counted. While deferred: the same without counted weights.

    Ledger: focusing does not move the decision between two classes. Weights do, and inside the focusing they act more
    than once: log w_c g'(w_c log 2), g the focal function, exact for two classes.

    Args:
        focal_gamma: focusing >= 0; 0 = weighted cross-entropy.
        scheme, gamma, beta: class weights, see :class:`WeightedLoss`; ``None`` = none.
        normalizer: 'valid' (the reference), or another of :func:`imbdense.core.reduction.reduce_loss`.
        others: see :class:`SoftmaxLoss`.
    """

    focal_gamma: float = 2.0
    normalizer: str = 'valid'
    loss_name: str = 'loss_focal'

    card = 'softmax_focal'
    tasks = ('segmentation', 'detection', 'points', 'volumes')
    conformance_arguments = {'scheme': 'effective'}

    def __post_init__(self) -> None:
        super().__post_init__()
        self.focal_gamma = check_number('focal_gamma', self.focal_gamma, low=0.0, owner='SoftmaxFocalLoss')

    def counts_for(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """Counts where something uses them; else one per class, and nothing is counted or reduced."""
        if self.scheme is None and self.empty_class == 'one' and self.known_counts() is None:
            return torch.ones(pred.shape[1] - int(self.has_background(pred, call)), device=pred.device)
        return super().counts_for(pred, target, call)

    def corrected(self, pred: Tensor, target: Tensor, counts: Tensor, call: LossCall) -> Tensor:
        """Focal loss with the weights of the scheme."""
        return softmax_focal_loss(
            pred, target, focal_gamma=self.focal_gamma, class_weight=self.channel_weights(pred, counts),
            class_counts=counts, empty_class=self.empty_class, **call.options,
        )

    def plain(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """Focal loss without counted weights."""
        self.counts_for(pred, target, call)
        return softmax_focal_loss(
            pred, target, focal_gamma=self.focal_gamma, class_weight=self.with_fixed(None, pred), **call.options
        )

    def log_change(self, counts: Tensor) -> Tensor:
        """log of the slope of g(w l) at l = log 2, where two classes are equally likely; g(u) = (1 - e^-u)^gamma u."""
        weights = self.scheme_weights(counts).clamp_min(1e-12)
        level = weights * math.log(2.0)
        easy = -torch.expm1(-level)
        slope = easy**self.focal_gamma * (1 + self.focal_gamma * level * torch.exp(-level) / easy)
        return (weights * slope).clamp_min(1e-300).log()
