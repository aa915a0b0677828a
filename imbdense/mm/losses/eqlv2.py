"""``imbdense.EQLv2Loss``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_number
from imbdense.core.losses import eqlv2_gradients, eqlv2_loss
from imbdense.core.stats import RunningGradients
from imbdense.mm.losses.base import LossCall, loss_arguments
from imbdense.mm.losses.gathering import GatheringLoss
from imbdense.mm.losses.scores import ObjectnessScores
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class EQLv2Loss(GatheringLoss, ObjectnessScores):
    """Binary cross-entropies whose positive and negative gradients are balanced per class while training.

    See :func:`imbdense.core.losses.eqlv2_loss` for formula, shapes and edge cases, :class:`ObjectnessScores` for the
    channels: box heads get an objectness channel, and scores sigma(z_c) (1 - sigma(z_C)).

    State: accumulated gradients (:class:`imbdense.core.stats.RunningGradients`), equal on all ranks, restored on
    resume; a call uses the ratio before it. Sample weights act on the loss and on what is accumulated. While deferred
    it is plain binary cross-entropy and goes on accumulating, with unit weights.

    Args:
        mu, gamma, alpha: of the weights.
        initial_ratio: >= 0, ratio of a class without gradient so far; 100 = unit weights.
        use_sigmoid: ``True`` in the config of a dense or query head: C channels, no objectness.
        others: see :class:`DenseLoss`.
    """

    mu: float = 0.8
    gamma: float = 12.0
    alpha: float = 4.0
    initial_ratio: float = 100.0
    use_sigmoid: bool = False
    loss_name: str = 'loss_eqlv2'

    card = 'eqlv2'
    tasks = ('segmentation', 'detection', 'points', 'volumes')

    def __post_init__(self) -> None:
        super().__post_init__()
        self.mu = check_number('mu', self.mu, owner='EQLv2Loss')
        self.gamma = check_number('gamma', self.gamma, low=0.0, low_open=True, owner='EQLv2Loss')
        self.alpha = check_number('alpha', self.alpha, low=0.0, owner='EQLv2Loss')
        if (self.gamma, self.alpha) == (2.0, 0.25):
            raise ValueError(
                'EQLv2Loss: gamma=2.0 and alpha=0.25 are the values of FocalLoss, left over from the config this one '
                'builds on. Add _delete_=True to loss_cls, or give gamma and alpha (12 and 4 in the paper).'
            )
        self.initial_ratio = check_number('initial_ratio', self.initial_ratio, low=0.0, owner='EQLv2Loss')

    def make_stats(self, classes: int) -> nn.Module:
        """No gradient yet."""
        return RunningGradients(classes, self.initial_ratio)

    def rebalanced(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """The balanced loss; then accumulate what it did."""
        stats = self.stats_for(self.object_classes(pred, call), pred)
        return self._step(pred, target, call, stats.ratio())

    def plain(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """All weights 1, which is what a ratio without bound gives."""
        stats = self.stats_for(self.object_classes(pred, call), pred)
        return self._step(pred, target, call, torch.full_like(stats.ratio(), torch.inf))

    def _step(self, pred: Tensor, target: Tensor, call: LossCall, ratio: Tensor) -> Tensor:
        factors = {'mu': self.mu, 'gamma': self.gamma, 'alpha': self.alpha}
        loss = eqlv2_loss(pred, target, ratio, class_weight=self.fixed_weight, **factors, **call.options)
        self.stats.update(
            *eqlv2_gradients(pred, target, ratio, ignore_index=call.ignore_index, weight=call.weight, **factors)
        )
        return loss
