"""The last feature rows of each class, with equally much room for every class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_integer
from imbdense.core.reduction import count_values


class ClassQueue(nn.Module):
    """The last ``size`` rows of each class: a ring per class.

    Of more than ``size`` rows of a class in one push the first are kept. Nothing is read back from the device.

    State (persistent): ``memory`` (C * size + 1, D) float32, class after class (the last row takes what is left out),
    ``entered`` (C,) int64 = how many rows of each class came in, from which place and filling follow. A queue belongs
    to its rank; where it shall be the same on all, gather the rows first
    (:func:`imbdense.core.stats.gather_over_ranks`).

    Args:
        num_classes: C >= 1.
        channels: D >= 1.
        size: rows per class, >= 1.
    """

    memory: Tensor
    entered: Tensor

    def __init__(self, num_classes: int, channels: int, size: int) -> None:
        super().__init__()
        owner = type(self).__name__
        self.num_classes = check_integer('num_classes', num_classes, low=1, owner=owner)
        self.size = check_integer('size', size, low=1, owner=owner)
        channels = check_integer('channels', channels, low=1, owner=owner)
        self.register_buffer('memory', torch.zeros(num_classes * size + 1, channels))
        self.register_buffer('entered', torch.zeros(num_classes, dtype=torch.int64))

    @property
    def rows(self) -> Tensor:
        """(C, size, D): the rings; of class c the first ``filled[c]`` rows mean something, in no order of time."""
        return self.memory[:-1].view(self.num_classes, self.size, -1)

    @property
    def filled(self) -> Tensor:
        """(C,) int64: rows held per class."""
        return self.entered.clamp_max(self.size)

    @torch.no_grad()
    def push(self, rows: Tensor, labels: Tensor) -> None:
        """Take in (P, D) rows of the classes (P,) int64; labels outside [0, C) are left out.

        Raises:
            ValueError: the shapes do not fit.
        """
        if rows.ndim != 2 or rows.shape[1] != self.memory.shape[1] or labels.shape != rows.shape[:1]:
            raise ValueError(
                f'ClassQueue: expected rows (P, {self.memory.shape[1]}) and labels (P,), but got {tuple(rows.shape)} '
                f'and {tuple(labels.shape)}.'
            )
        labels = torch.where((labels >= 0) & (labels < self.num_classes), labels, self.num_classes)
        order = place_in_class(labels)
        label = labels.clamp_max(self.num_classes - 1)
        slot = label * self.size + (self.entered[label] + order) % self.size
        kept = (labels < self.num_classes) & (order < self.size)
        rows = rows.detach().to(self.memory)
        self.memory.index_copy_(0, torch.where(kept, slot, self.num_classes * self.size), rows)
        self.entered += count_values(labels, self.num_classes + 1)[: self.num_classes].clamp_max(self.size)

    def mean(self) -> Tensor:
        """(C, D): mean row of each class; 0 for a class without rows."""
        return self.rows.sum(1) / self.filled.clamp_min(1).unsqueeze(1)

    def draw(self, labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One row of the class of each label (M,) in [0, C), any of those held with equal probability: (M, D).

        Zeros for a class without rows. Random numbers come from ``generator``; ``None`` = torch's default one.
        """
        filled = self.filled[labels].clamp_min(1)
        chance = torch.rand(labels.shape, device=labels.device, generator=generator)
        place = torch.minimum((chance * filled).long(), filled - 1)
        return self.memory[labels * self.size + place]


def place_in_class(labels: Tensor) -> Tensor:
    """How many earlier elements of ``labels`` (P,) have the same value, (P,) int64."""
    ordered, source = torch.sort(labels, stable=True)
    first = torch.searchsorted(ordered, ordered)
    place = torch.arange(labels.numel(), device=labels.device) - first
    return torch.empty_like(place).scatter_(0, source, place)
