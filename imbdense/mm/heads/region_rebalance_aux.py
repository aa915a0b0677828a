"""``imbdense.RegionRebalanceAux``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from imbdense.core.checks import check_choice
from imbdense.core.losses.class_overlap import OVERLAP_GROUPS
from imbdense.core.regions import region_means
from imbdense.mm.heads.region_classifier import RegionClassifier
from imbdense.registry import MODELS


@MODELS.register_module()
class RegionRebalanceAux(RegionClassifier):
    """Auxiliary head that classifies regions (the mean feature of a class in an image) instead of pixels.

    A class of few pixels has as many regions as images that hold it: among regions the imbalance is that of the
    images, which is much smaller. Mean feature per image and class -> linear, ReLU, linear -> cross-entropy shifted by
    the log prior of the *images*, with label smoothing. Trains the shared features only; test time is unchanged
    (:class:`RegionRebalanceHead` also corrects the pixels). An object smaller than a feature cell makes a region too.
    Without any region the loss is 0 with a graph.

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
        super().__init__(in_channels, num_classes, channels, smoothing, loss_region)
        self.per = check_choice('per', per, OVERLAP_GROUPS, owner='RegionRebalanceAux')
        self.in_index = in_index
        self.ignore_index = ignore_index

    def loss(self, inputs: Any, batch_data_samples: Any, train_cfg: Any) -> dict[str, Tensor]:
        """What mmseg calls: the loss of the regions of this batch."""
        target = torch.stack([sample.gt_sem_seg.data for sample in batch_data_samples]).squeeze(1)
        means, labels, _ = region_means(
            inputs[self.in_index], target, self.num_classes, ignore_index=self.ignore_index, per=self.per
        )
        return {self.loss_region.loss_name: self.region_loss(self.classifier(means), labels)}
