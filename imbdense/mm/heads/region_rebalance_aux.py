"""``imbdense.RegionRebalanceAux``."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS as HOST_MODELS
from torch import Tensor, nn

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.losses import region_means, shifted_cross_entropy
from imbdense.core.losses.class_overlap import OVERLAP_GROUPS
from imbdense.mm.losses.base import LossCall
from imbdense.mm.losses.shifted import ShiftedLoss
from imbdense.registry import MODELS


@MODELS.register_module()
class RegionRebalanceAux(BaseModule):
    """Auxiliary head that classifies regions (the mean feature of a class in an image) instead of pixels.

    A class of few pixels has as many regions as images that hold it: among regions the imbalance is that of the
    images, which is much smaller. Mean feature per image and class -> linear, ReLU, linear -> cross-entropy shifted by
    the log prior of the *images*, with label smoothing. Trains the shared features only; test time is unchanged. An
    object smaller than a feature cell makes a region too. Without any region the loss is 0 with a graph.

    Args:
        in_channels: channels of the feature map.
        num_classes: C.
        channels: width of the hidden layer.
        in_index: which feature map of the backbone or neck.
        per: regions of each 'image', or of the whole 'batch'.
        smoothing: target 1 - s on the true class and s / (C - 1) on each other one, in [0, 1).
        loss_region: config of the loss; the default is logit adjustment by image counts (needs ClassCountHook, or it
            counts the regions it sees, which is nearly the same).
        ignore_index: label value that counts nothing.

    Source: Cui et al., Region rebalance for long-tailed semantic segmentation, 2022 (its first part).
    """

    card = 'region_rebalance'
    tasks = ('segmentation',)

    def __init__(
        self,
        in_channels: int = 256,
        num_classes: int = 2,
        channels: int = 256,
        in_index: int = -1,
        per: str = 'image',
        smoothing: float = 0.0,
        loss_region: dict[str, Any] | None = None,
        ignore_index: int = 255,
    ) -> None:
        super().__init__()
        owner = 'RegionRebalanceAux'
        self.num_classes = check_integer('num_classes', num_classes, low=2, owner=owner)
        self.per = check_choice('per', per, OVERLAP_GROUPS, owner=owner)
        self.smoothing = check_number('smoothing', smoothing, low=0.0, high=0.999, owner=owner)
        self.in_index = in_index
        self.ignore_index = ignore_index
        default = {'type': 'imbdense.LogitAdjustLoss', 'count': 'images', 'loss_name': 'loss_region'}
        self.loss_region = HOST_MODELS.build(default if loss_region is None else dict(loss_region))
        if not isinstance(self.loss_region, ShiftedLoss):
            raise TypeError(
                f'{owner}: loss_region must be LogitAdjustLoss, BalancedSoftmaxLoss or ReweightedCELoss of imbdense, '
                f'but is {type(self.loss_region).__name__}.'
            )
        self.classifier = nn.Sequential(
            nn.Linear(in_channels, channels), nn.ReLU(inplace=True), nn.Linear(channels, num_classes)
        )

    def loss(self, inputs: Any, batch_data_samples: Any, train_cfg: Any) -> dict[str, Tensor]:
        """What mmseg calls: the loss of the regions of this batch."""
        target = torch.stack([sample.gt_sem_seg.data for sample in batch_data_samples]).squeeze(1)
        means, labels, _ = region_means(
            inputs[self.in_index], target, self.num_classes, ignore_index=self.ignore_index, per=self.per
        )
        logits = self.classifier(means)
        return {self.loss_region.loss_name: self.loss_region.loss_weight * self._region_loss(logits, labels)}

    def _region_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of the regions against smoothed labels, with shift and weights of the region counts."""
        call = LossCall(-1, None, 'weight_sum', None, 'mean', False)
        counts = self.loss_region.counts_for(logits, labels, call)
        shift, weights = self.loss_region.terms(counts, self.num_classes)
        goal = torch.full_like(logits, self.smoothing / (self.num_classes - 1), dtype=torch.float32)
        goal.scatter_(1, labels.unsqueeze(1), 1.0 - self.smoothing)
        return shifted_cross_entropy(logits, goal, shift=shift, class_weight=weights, owner='RegionRebalanceAux')
