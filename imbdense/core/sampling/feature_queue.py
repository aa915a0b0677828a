"""A memory of the last features of each class (memory-augmented feature sampling of LOCE)."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.sampling.class_features import ClassFeatures
from imbdense.core.stats import ClassQueue


class FeatureQueue(ClassFeatures):
    """The last ``size`` features of each class; a draw takes any of them with equal probability.

    State: ``queue`` (:class:`imbdense.core.stats.ClassQueue`). It belongs to its rank and is not reduced; a checkpoint
    holds that of the rank which saves. Resuming goes on with it.

    Args:
        num_classes, channels: see :class:`ClassFeatures`.
        size: >= 1.

    Source: Feng et al., Exploring Classification Equilibrium in Long-Tailed Object Detection (LOCE), ICCV 2021.
    """

    def __init__(self, num_classes: int, channels: int, size: int = 80) -> None:
        super().__init__(num_classes, channels)
        self.queue = ClassQueue(num_classes, channels, size)

    def available(self) -> Tensor:
        """(C,) bool: the classes with something in their queue."""
        return self.queue.entered > 0

    def features_of(self, labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A feature of the queue of each label."""
        return self.queue.draw(labels, generator)

    def _keep(self, features: Tensor, labels: Tensor) -> None:
        self.queue.push(features, labels)
