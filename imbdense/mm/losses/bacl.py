"""``imbdense.ForegroundClassBalanceLoss``."""

from __future__ import annotations

from torch import Tensor, nn

from imbdense.core.checks import check_number
from imbdense.core.losses import foreground_class_balance_loss, labelled_probabilities
from imbdense.core.stats import RunningConfusion
from imbdense.mm.losses.base import LossCall, loss_arguments
from imbdense.mm.losses.gathering import GatheringLoss
from imbdense.mm.losses.scores import ObjectnessScores
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class ForegroundClassBalanceLoss(GatheringLoss, ObjectnessScores):
    """Binary cross-entropies with a margin for each pair of classes, from who is mistaken for whom.

    See :func:`imbdense.core.losses.foreground_class_balance_loss` for formula, shapes and edge cases,
    :class:`ObjectnessScores` for the channels: box heads get an objectness channel. It is the loss of BACL; the
    hallucination of features in its second training stage is that of ``imbdense.BACLBBoxHead``.

    State: the confusion of all samples so far (:class:`imbdense.core.stats.RunningConfusion`, C x C), equal on all
    ranks, restored on resume; a call uses the confusion before it. While deferred it is plain binary cross-entropy
    and goes on observing.

    Args:
        alpha: strength of the margins, >= 0; the released settings have 0.85, 0 = plain sigmoids.
        competitors_only: samples of a class only push down classes that score as high as it, or ``score_thr``.
        score_thr: in (0, 1).
        use_sigmoid: ``True`` in the config of a dense or query head: C channels, no objectness.
        others: see :class:`DenseLoss`.
    """

    alpha: float = 0.85
    competitors_only: bool = False
    score_thr: float = 0.7
    use_sigmoid: bool = False
    loss_name: str = 'loss_fcbl'

    card = 'bacl'
    tasks = ('segmentation', 'detection', 'points', 'volumes')

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = 'ForegroundClassBalanceLoss'
        self.alpha = check_number('alpha', self.alpha, low=0.0, owner=owner)
        self.score_thr = check_number('score_thr', self.score_thr, low=0.0, high=1.0, owner=owner)

    def make_stats(self, classes: int) -> nn.Module:
        """Nothing seen: all margins 0."""
        return RunningConfusion(classes)

    def rebalanced(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """The loss with the margins so far; then observe."""
        return self._step(pred, target, call, self.alpha, self.competitors_only)

    def plain(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """No margins, all terms; then observe."""
        return self._step(pred, target, call, 0.0, False)

    def _step(self, pred: Tensor, target: Tensor, call: LossCall, alpha: float, competitors_only: bool) -> Tensor:
        classes = self.object_classes(pred, call)
        stats = self.stats_for(classes, pred)
        loss = foreground_class_balance_loss(
            pred, target, stats.confusion(), alpha=alpha, competitors_only=competitors_only,
            score_thr=self.score_thr, class_weight=self.fixed_weight, **call.options,
        )
        stats.update(*labelled_probabilities(pred, target, classes, ignore_index=call.ignore_index))
        return loss
