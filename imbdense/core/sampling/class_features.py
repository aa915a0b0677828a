"""Features kept per class, from which some are drawn in every step: the base of the two ways to keep them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_integer


class DrawnFeatures(NamedTuple):
    """M drawn features: values (M, D) float32 without a graph, labels (M,) int64, known (M,) bool.

    ``known`` is False everywhere when there was nothing to draw from; values and labels then mean nothing. M does not
    depend on it, so all ranks and all steps have the same shapes.
    """

    features: Tensor
    labels: Tensor
    known: Tensor


class ClassFeatures(nn.Module, ABC):
    """What is known about the features of each class, and draws from it.

    The state is in persistent buffers and only changes in train mode. Features enter without a graph, in float32, and
    only where all their numbers are finite: half precision that overflows leaves nothing behind.

    Args:
        num_classes: C >= 1.
        channels: D >= 1.
    """

    def __init__(self, num_classes: int, channels: int) -> None:
        super().__init__()
        owner = type(self).__name__
        self.num_classes = check_integer('num_classes', num_classes, low=1, owner=owner)
        self.channels = check_integer('channels', channels, low=1, owner=owner)

    @abstractmethod
    def available(self) -> Tensor:
        """(C,) bool: the classes that can be drawn."""

    @abstractmethod
    def features_of(self, labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One feature for each of the (M,) labels, (M, D) float32; zeros for a class that is not available."""

    @abstractmethod
    def _keep(self, features: Tensor, labels: Tensor) -> None:
        """Take in (P, D) finite float32 features; label C = to be left out."""

    @torch.no_grad()
    def update(self, features: Tensor, labels: Tensor) -> None:
        """Take in the features of a step; in eval mode nothing happens.

        Args:
            features: (P, D) float.
            labels: (P,) int64; values outside [0, C) (background, ignored) are left out.

        Raises:
            ValueError: the shapes do not fit.
        """
        if features.ndim != 2 or features.shape[1] != self.channels or labels.shape != features.shape[:1]:
            raise ValueError(
                f'{type(self).__name__}: expected features (P, {self.channels}) and labels (P,), but got '
                f'{tuple(features.shape)} and {tuple(labels.shape)}.'
            )
        if not self.training:
            return
        values = features.detach().float()
        finite = torch.isfinite(values).all(1)
        taken = finite & (labels >= 0) & (labels < self.num_classes)
        # A row that is left out may hold anything; 0 * inf would spread.
        self._keep(torch.where(finite.unsqueeze(1), values, 0.0), torch.where(taken, labels, self.num_classes))

    @torch.no_grad()
    def draw(
        self, preference: Tensor, classes: int, each: int, generator: torch.Generator | None = None
    ) -> DrawnFeatures:
        """Draw ``classes`` classes with replacement, proportional to ``preference`` (C,) >= 0 among those available,
        and ``each`` features of each.

        Random numbers come from ``generator``; ``None`` = torch's default generator of the device, which the training
        seed fixes. Nothing is read back from the device.
        """
        rate = torch.where(self.available(), preference.float(), 0.0)
        known = (rate > 0).any()
        chosen = torch.multinomial(torch.where(known, rate, 1.0), classes, replacement=True, generator=generator)
        labels = chosen.repeat_interleave(each)
        return DrawnFeatures(self.features_of(labels, generator), labels, known.expand(labels.shape))
