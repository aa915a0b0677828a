"""``imbdense.SyncedSeesawLoss``."""

from __future__ import annotations

from torch import Tensor

from imbdense.core.checks import check_choice, check_number
from imbdense.core.losses import seesaw_loss, seesaw_objectness_loss, seesaw_scores
from imbdense.core.losses.seesaw import CLASS_DIVISORS
from imbdense.core.stats import fill_empty_classes
from imbdense.mm.losses.base import LossCall, loss_arguments
from imbdense.mm.losses.counted import CountedLoss
from imbdense.mm.losses.scores import DetectionScores, percent
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class SyncedSeesawLoss(CountedLoss, DetectionScores):
    """Cross-entropy that pushes rarer classes down less and wrongly favoured ones more, with counts of all ranks.

    See :func:`imbdense.core.losses.seesaw_loss` for the formula. Its form follows from the head:

    ==================================  =========  ================================================================
    head                                channels   loss and score
    ==================================  =========  ================================================================
    box head of a two-stage detector    C + 2      softmax over the classes for objects, softmax object / background
    decode head, points, volumes        C          softmax
    query or dense head                 C + 1      softmax with "no object" last, which is left alone
    the same with ``use_sigmoid=True``  C          one sigmoid per class, also focal; background has no column
    ==================================  =========  ================================================================

    The counts are those of :class:`CountedLoss`; running ones include the call itself, as in the paper. mmdet's
    SeesawLoss counts on each rank for itself and saves rank 0's counts.

    Args:
        p, q: exponents of mitigation and compensation.
        eps: floor of the score of the own class in the compensation.
        class_divisor: box heads: the class term is a mean over the 'objects', or divided by 'all' regions like the
            objectness term (as released).
        use_sigmoid: see the table; must be in the config of the head.
        focal_gamma, focal_alpha: focusing of the sigmoid form; FocalLoss has 2.0 and 0.25.
        others: see :class:`CountedLoss`.
    """

    p: float = 0.8
    q: float = 2.0
    eps: float = 1e-2
    class_divisor: str = 'objects'
    use_sigmoid: bool = False
    focal_gamma: float = 0.0
    focal_alpha: float | None = None
    loss_name: str = 'loss_seesaw'

    card = 'seesaw'
    tasks = ('segmentation', 'detection', 'points', 'volumes')

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ('p', 'q', 'focal_gamma'):
            setattr(self, name, check_number(name, getattr(self, name), low=0.0, owner='SyncedSeesawLoss'))
        self.eps = check_number('eps', self.eps, low=0.0, high=1.0, low_open=True, owner='SyncedSeesawLoss')
        check_choice('class_divisor', self.class_divisor, CLASS_DIVISORS, owner='SyncedSeesawLoss')
        if not self.use_sigmoid and (self.focal_gamma != 0 or self.focal_alpha is not None):
            raise ValueError('SyncedSeesawLoss: focal_gamma and focal_alpha need use_sigmoid=True.')

    def roi_channels(self, num_classes: int) -> int:
        """C + 2: the classes, object, background."""
        if self.use_sigmoid:
            raise ValueError(
                'SyncedSeesawLoss: a box head has a softmax over the classes and one over object / background; '
                'use_sigmoid=True is for dense and query heads. Leave it out here.'
            )
        return num_classes + 2

    def class_scores(self, logits: Tensor) -> tuple[Tensor, Tensor | None]:
        """Scores as trained, see the table."""
        if self.use_sigmoid:
            return logits.sigmoid(), None
        scores = logits.softmax(-1) if self.roi_classes is None else seesaw_scores(logits)
        return scores[..., :-1], scores[..., -1:]

    def get_accuracy(self, cls_score: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Percent of correct decisions object / background, and of correct classes among the objects."""
        if self.roi_classes is None:
            return super().get_accuracy(cls_score, labels)
        known, is_object = labels >= 0, (labels >= 0) & (labels < self.roi_classes)
        chosen = cls_score[:, -2] >= cls_score[:, -1]
        return {
            'acc_objectness': percent(chosen == is_object, known),
            'acc_classes': percent(cls_score[:, : self.roi_classes].argmax(1) == labels, is_object),
        }

    def rebalanced(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """The loss in the form of the head."""
        return self._compute(pred, target, call, self.p, self.q)

    def plain(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """The same without both factors; running counts go on."""
        return self._compute(pred, target, call, 0.0, 0.0)

    def log_change(self, counts: Tensor) -> Tensor:
        """About prior / n^p: for samples of a frequent class the logit of a rare one is lowered by p log(n_j / n_y)."""
        return -self.p * fill_empty_classes(counts).log()

    def _compute(self, pred: Tensor, target: Tensor, call: LossCall, p: float, q: float) -> Tensor:
        counts = self._counts_with_this_call(pred, target, call)
        options = dict(p=p, q=q, eps=self.eps, empty_class=self.empty_class, **call.options)
        target = self.drop_removed(target, counts, call.ignore_index)
        if self.roi_classes is not None:
            return seesaw_objectness_loss(pred, target, counts, class_divisor=self.class_divisor, **options)
        return seesaw_loss(
            pred, target, counts, use_sigmoid=self.use_sigmoid, focal_gamma=self.focal_gamma,
            focal_alpha=self.focal_alpha, class_weight=self.with_fixed(None, pred), **options,
        )

    def _counts_with_this_call(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        counts = self.counts_for(pred, target, call, self.roi_classes)
        return counts if self.running is None or self.known_counts() is not None else self.running.counts
