"""``imbdense.FederatedLoss``."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from imbdense.core.checks import check_channels, check_integer, check_number
from imbdense.core.losses import classes_present, draw_federated_classes, federated_loss, shifted_sigmoid_loss
from imbdense.core.stats import fill_empty_classes
from imbdense.mm.losses.base import LossCall, loss_arguments
from imbdense.mm.losses.counted import CountedLoss
from imbdense.mm.losses.scores import SigmoidScores
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class FederatedLoss(CountedLoss, SigmoidScores):
    """Binary cross-entropies of a few classes per step: those present, and others drawn by their frequency.

    See :func:`imbdense.core.losses.federated_loss`. For data sets where only some classes are annotated in an image
    (LVIS, Objects365) it avoids wrong negatives; where all are annotated it only thins the negatives of rare classes.
    With at most ``num_classes_per_step`` classes it is plain binary cross-entropy.

    Channels: C in a box head (the background has no channel, its score is 1 minus the highest) and with
    ``use_sigmoid=True`` in a dense head; without, the last of the C + 1 channels of a dense head stays unused.

    State: running counts as in :class:`CountedLoss` when none are known. The classes are drawn from torch's global
    generator, on each rank for itself and its own labels.

    Args:
        num_classes_per_step: how many classes are trained in a step, >= 1; background among the labels counts as one.
        power: the others are drawn in proportion to count ** power, >= 0.
        use_sigmoid: ``True`` in the config of a dense or query head.
        others: see :class:`CountedLoss`.
    """

    num_classes_per_step: int = 50
    power: float = 0.5
    use_sigmoid: bool = False
    loss_name: str = 'loss_federated'

    card = 'federated_loss'
    tasks = ('segmentation', 'detection', 'points', 'volumes')

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer('num_classes_per_step', self.num_classes_per_step, low=1, owner='FederatedLoss')
        self.power = check_number('power', self.power, low=0.0, owner='FederatedLoss')

    def roi_channels(self, num_classes: int) -> int:
        """C: the background has no channel."""
        return num_classes

    def class_scores(self, logits: Tensor) -> tuple[Tensor, Tensor | None]:
        """Sigmoid of the classes."""
        unused = int(self.roi_classes is None and not self.use_sigmoid)
        return logits[..., : logits.shape[-1] - unused].sigmoid(), None

    def rebalanced(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """Draw the classes, then their loss."""
        logits, counts = self._classes(pred, target, call)
        target = self.drop_removed(target, counts, call.ignore_index)
        classes = counts.numel()
        present = classes_present(logits, target, classes, ignore_index=call.ignore_index)
        # As released, background takes one of the places; with rate 0 it is never drawn.
        places, rates = torch.cat([present, (target == classes).any().view(1)]), F.pad(self._rates(counts), (0, 1))
        trained = draw_federated_classes(places, rates, self.num_classes_per_step)[:classes]
        if self.empty_class == 'mask':
            trained = trained & (counts > 0)
        return federated_loss(logits, target, trained, class_weight=self.fixed_weight, **call.options)

    def plain(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """All classes; running counts go on."""
        logits, _ = self._classes(pred, target, call)
        return shifted_sigmoid_loss(logits, target, class_weight=self.fixed_weight, **call.options)

    def log_change(self, counts: Tensor) -> Tensor:
        """Fewer negatives raise the odds: about minus the log of how often a class is trained when it is absent."""
        rates = self._rates(counts)
        return -(self.num_classes_per_step * rates / rates.sum()).clamp_max(1.0).log()

    def _rates(self, counts: Tensor) -> Tensor:
        """How often each class is drawn, relative to the others."""
        return fill_empty_classes(counts) ** self.power

    def _classes(self, pred: Tensor, target: Tensor, call: LossCall) -> tuple[Tensor, Tensor]:
        """The logits of the classes, and their counts."""
        classes = self.object_classes(pred, call)
        logits = pred[:, :classes]
        counts = self.counts_for(logits, target, call, classes)
        check_channels(logits, counts.numel(), owner='FederatedLoss')
        return logits, counts
