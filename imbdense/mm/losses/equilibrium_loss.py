"""``imbdense.EBLLoss``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_choice, check_number
from imbdense.core.losses import equilibrium_loss, score_sums, shifted_cross_entropy
from imbdense.core.stats import RunningScores
from imbdense.mm.losses.base import LossCall, loss_arguments
from imbdense.mm.losses.gathering import GatheringLoss
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class EBLLoss(GatheringLoss):
    """Equilibrium loss: softmax cross-entropy shifted by the log of the mean score each class reaches.

    See :func:`imbdense.core.losses.equilibrium_loss` for the formula. A class that scores badly, rare or hard, gets a
    margin against those that score well; class counts are not needed. The scores at test time are the plain softmax,
    so it fits every softmax head; the background channel of detection heads keeps the fixed value ``background_score``.

    State: mean scores (:class:`imbdense.core.stats.RunningScores`), updated before they are used (as released), equal
    on all ranks, restored on resume. A step in which a class occurs is one observation of it, whatever the number of
    its samples. While deferred it is plain cross-entropy and goes on observing.

    Args:
        momentum: of the mean scores, in [0, 1].
        initial_score: mean score before the first observation, in (0, 1].
        background_score: in (0, 1].
        use_sigmoid: must be ``False``; configs inherit it from the loss they replace.
        others: see :class:`DenseLoss`.
    """

    momentum: float = 0.9
    initial_score: float = 0.01
    background_score: float = 0.01
    use_sigmoid: bool = False
    loss_name: str = 'loss_ebl'

    card = 'equilibrium_loss'
    tasks = ('segmentation', 'detection', 'points', 'volumes')

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice('use_sigmoid', self.use_sigmoid, (False,), owner='EBLLoss')
        self.momentum = check_number('momentum', self.momentum, low=0.0, high=1.0, owner='EBLLoss')
        for name in ('initial_score', 'background_score'):
            value = check_number(name, getattr(self, name), low=0.0, high=1.0, low_open=True, owner='EBLLoss')
            setattr(self, name, value)

    def make_stats(self, classes: int) -> nn.Module:
        """All classes at the initial score."""
        return RunningScores(classes, self.initial_score, self.momentum)

    def roi_channels(self, num_classes: int) -> int:
        """C + 1, the background last."""
        return num_classes + 1

    def class_scores(self, logits: Tensor) -> tuple[Tensor, Tensor | None]:
        """Softmax; a detection head has the background last."""
        scores = logits.softmax(-1)
        return scores[..., :-1], scores[..., -1:]

    def rebalanced(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """Observe, then the shifted cross-entropy."""
        mean = self._observe(pred, target, call)
        background = mean.new_full((pred.shape[1] - mean.numel(),), self.background_score)
        return equilibrium_loss(
            pred, target, torch.cat([mean, background]), class_weight=self.fixed_weight, **call.options
        )

    def plain(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """Observe, then plain cross-entropy."""
        self._observe(pred, target, call)
        return shifted_cross_entropy(pred, target, class_weight=self.fixed_weight, owner='EBLLoss', **call.options)

    def _observe(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """(C,) mean scores with those of this call."""
        classes = self.object_classes(pred, call)
        stats = self.stats_for(classes, pred)
        stats.update(*score_sums(pred, target, classes, ignore_index=call.ignore_index))
        return stats.mean
