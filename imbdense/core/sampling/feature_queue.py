"""A memory of the last features of each class (memory-augmented feature sampling of LOCE)."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import check_integer
from imbdense.core.reduction import count_values
from imbdense.core.sampling.class_features import ClassFeatures


class FeatureQueue(ClassFeatures):
    """The last ``size`` features of each class; a draw takes any of them with equal probability.

    Of more than ``size`` features of a class in one step the first are kept, as released.

    State: ``memory`` (C * size + 1, D) float32, class after class (the last row takes what is left out), ``entered``
    (C,) int64 = how many features of each class came in, from which place and filling follow. The queue belongs to its
    rank and is not reduced; a checkpoint holds that of the rank which saves. Resuming goes on with it.

    Args:
        num_classes, channels: see :class:`ClassFeatures`.
        size: >= 1.

    Source: Feng et al., Exploring Classification Equilibrium in Long-Tailed Object Detection (LOCE), ICCV 2021.
    """

    memory: Tensor
    entered: Tensor

    def __init__(self, num_classes: int, channels: int, size: int = 80) -> None:
        super().__init__(num_classes, channels)
        self.size = check_integer('size', size, low=1, owner='FeatureQueue')
        self.register_buffer('memory', torch.zeros(num_classes * size + 1, channels))
        self.register_buffer('entered', torch.zeros(num_classes, dtype=torch.int64))

    def available(self) -> Tensor:
        """(C,) bool: the classes with something in their queue."""
        return self.entered > 0

    def features_of(self, labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A feature of the queue of each label."""
        filled = self.entered[labels].clamp(1, self.size)
        chance = torch.rand(labels.shape, device=labels.device, generator=generator)
        place = torch.minimum((chance * filled).long(), filled - 1)
        return self.memory[labels * self.size + place]

    def _keep(self, features: Tensor, labels: Tensor) -> None:
        order = place_in_class(labels)
        label = labels.clamp_max(self.num_classes - 1)
        slot = label * self.size + (self.entered[label] + order) % self.size
        kept = (labels < self.num_classes) & (order < self.size)
        self.memory.index_copy_(0, torch.where(kept, slot, self.num_classes * self.size), features)
        self.entered += count_values(labels, self.num_classes + 1)[: self.num_classes].clamp_max(self.size)


def place_in_class(labels: Tensor) -> Tensor:
    """How many earlier elements of ``labels`` (P,) have the same value, (P,) int64."""
    ordered, source = torch.sort(labels, stable=True)
    first = torch.searchsorted(ordered, ordered)
    place = torch.arange(labels.numel(), device=labels.device) - first
    return torch.empty_like(place).scatter_(0, source, place)
