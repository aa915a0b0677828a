"""A small classifier of regions (mean features) and its loss, for the heads of region rebalance."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS as HOST_MODELS
from torch import Tensor, nn

from imbdense.core.checks import check_integer, check_number
from imbdense.core.losses import shifted_cross_entropy
from imbdense.mm.losses.base import LossCall
from imbdense.mm.losses.shifted import ShiftedLoss


class RegionClassifier(BaseModule):
    """Linear, ReLU, linear on the mean feature of a region; cross-entropy shifted by the log prior of the images.

    The loss acts on logits of its own, not on those of the pixels, so it leaves the ledger of the class prior alone.

    Args:
        in_channels: channels of the mean features.
        num_classes: C >= 2.
        channels: width of the hidden layer.
        smoothing: target 1 - s on the true class and s shared by the others, in [0, 1).
        loss_region: config of the loss; the default is logit adjustment by image counts (needs ClassCountHook, or it
            counts the regions it sees, which is nearly the same).
        absent: one more output, C = "this class is not in the image", without shift and with weight 1.

    Raises:
        TypeError: ``loss_region`` is no loss with shift and weights.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        channels: int = 256,
        smoothing: float = 0.0,
        loss_region: dict[str, Any] | None = None,
        absent: bool = False,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.num_classes = check_integer('num_classes', num_classes, low=2, owner=owner)
        self.smoothing = check_number('smoothing', smoothing, low=0.0, high=0.999, owner=owner)
        self.extra = int(absent)
        default = {'type': 'imbdense.LogitAdjustLoss', 'count': 'images', 'loss_name': 'loss_region'}
        self.loss_region = HOST_MODELS.build(default if loss_region is None else dict(loss_region))
        if not isinstance(self.loss_region, ShiftedLoss):
            raise TypeError(
                f'{owner}: loss_region must be LogitAdjustLoss, BalancedSoftmaxLoss or ReweightedCELoss of imbdense, '
                f'but is {type(self.loss_region).__name__}.'
            )
        self.loss_region.enters_ledger = False
        self.classifier = nn.Sequential(
            nn.Linear(in_channels, channels), nn.ReLU(inplace=True), nn.Linear(channels, num_classes + self.extra)
        )

    def region_loss(self, logits: Tensor, labels: Tensor, weight: Tensor | None = None) -> Tensor:
        """Loss of R regions, times ``loss_weight``: logits (R, C or C + 1), labels (R,), weights (R,).

        Regions labelled C are not counted as samples of a class. 0 with a graph when nothing weighs anything.
        """
        call = LossCall(-1, None, 'weight_sum', None, 'mean', False)
        classes = self.num_classes
        known = torch.where(labels < classes, labels, -1)
        counts = self.loss_region.counts_for(logits[:, :classes], known, call)
        shift, class_weight = (
            None if term is None else nn.functional.pad(term, (0, self.extra), value=value)
            for term, value in zip(self.loss_region.terms(counts, classes), (0.0, 1.0), strict=True)
        )
        goal = torch.full_like(logits, self.smoothing / (logits.shape[1] - 1), dtype=torch.float32)
        goal.scatter_(1, labels.unsqueeze(1), 1.0 - self.smoothing)
        options: dict[str, Any] = {} if weight is None else {'weight': weight, 'avg_factor': weight.sum()}
        loss = shifted_cross_entropy(
            logits, goal, shift=shift, class_weight=class_weight, owner=type(self).__name__, **options
        )
        return self.loss_region.loss_weight * loss
