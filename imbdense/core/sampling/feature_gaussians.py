"""A Gaussian of the features of each class, from which new ones are drawn (feature hallucination of BACL)."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.reduction import count_values
from imbdense.core.sampling.class_features import ClassFeatures
from imbdense.core.stats import sum_over_ranks


class FeatureGaussians(ClassFeatures):
    """Running mean and variance per class and channel; a draw is mean + sqrt(variance) * N(0, 1).

    A step with n >= 2 features of a class, over all ranks, is one observation of it: their mean m and their unbiased
    variance v. The first is taken as it is, then::

        mean_c     <- momentum * mean_c     + (1 - momentum) * m
        variance_c <- momentum * variance_c + (1 - momentum) * v

    One feature alone has no variance, so such a step teaches nothing.

    State: ``mean``, ``variance`` (C, D) float32 and ``observed`` (C,) int64, equal on all ranks. Each step sums
    C * (2 D + 1) float32 numbers over them (9.9 MB at C = 1203, D = 1024), of differences from the running mean, so
    that a large mean does not swallow the variance.

    Args:
        num_classes, channels: see :class:`ClassFeatures`.
        momentum: in [0, 1].

    Source: Qi et al., Balanced Classification (BACL), TMM 2023.
    """

    mean: Tensor
    variance: Tensor
    observed: Tensor

    def __init__(self, num_classes: int, channels: int, momentum: float = 0.9) -> None:
        super().__init__(num_classes, channels)
        self.momentum = check_number('momentum', momentum, low=0.0, high=1.0, owner='FeatureGaussians')
        self.register_buffer('mean', torch.zeros(num_classes, channels))
        self.register_buffer('variance', torch.zeros(num_classes, channels))
        self.register_buffer('observed', torch.zeros(num_classes, dtype=torch.int64))

    def available(self) -> Tensor:
        """(C,) bool: the classes that were observed."""
        return self.observed > 0

    def features_of(self, labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A new feature for each label."""
        noise = torch.randn((labels.numel(), self.channels), device=labels.device, generator=generator)
        return self.mean[labels] + self.variance[labels].sqrt() * noise

    def _keep(self, features: Tensor, labels: Tensor) -> None:
        classes = self.num_classes
        moved = features - self.mean[labels.clamp_max(classes - 1)]
        zeros = moved.new_zeros(classes + 1, self.channels)
        total, squares, number = sum_over_ranks(
            zeros.index_add(0, labels, moved)[:classes],
            zeros.index_add(0, labels, moved.square())[:classes],
            count_values(labels, classes + 1)[:classes].to(moved.dtype),
        )
        count = number.unsqueeze(1)
        shift = total / count.clamp_min(1)
        variance = ((squares - total * shift) / (count - 1).clamp_min(1)).clamp_min(0)
        momentum = torch.where(self.observed > 0, self.momentum, 0.0)
        momentum = torch.where(number >= 2, momentum, 1.0).unsqueeze(1)  # 1: stays as it is
        self.mean += (1 - momentum) * shift
        self.variance.copy_(torch.lerp(variance, self.variance, momentum))
        self.observed += number >= 2
