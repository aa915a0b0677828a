"""What detection losses gather about the classifier while it trains: gradients, scores, confusions.

All keep their state in persistent buffers, sum the increment of a step over all ranks in one message before they use
it (so the state is equal on every rank and equals that of one process on the joined batch), do nothing in eval mode,
and never read a value back from the device.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imbdense.core.stats.ranks import in_process_group, sum_over_ranks


class RunningGradients(nn.Module):
    """Sums of the absolute gradient each class got from its own samples and from all others.

    State: ``positive`` and ``negative`` (C,) float64 (a float32 sum would stop growing long before training ends).

    Args:
        num_classes: C > 0.
        initial_ratio: :meth:`ratio` of a class that has no gradient yet.
    """

    positive: Tensor
    negative: Tensor

    def __init__(self, num_classes: int, initial_ratio: float = 100.0) -> None:
        super().__init__()
        self.initial_ratio = initial_ratio
        self.register_buffer('positive', torch.zeros(_checked(num_classes), dtype=torch.float64))
        self.register_buffer('negative', torch.zeros(num_classes, dtype=torch.float64))

    def ratio(self) -> Tensor:
        """(C,) float64: positive / (negative + 1e-10)."""
        known = self.positive + self.negative > 0
        return torch.where(known, self.positive / (self.negative + 1e-10), self.initial_ratio)

    @torch.no_grad()
    def update(self, positive: Tensor, negative: Tensor) -> None:
        """Add what this rank saw, (C,) each."""
        if not self.training:
            return
        positive, negative = sum_over_ranks(positive.to(self.positive), negative.to(self.negative))
        self.positive += positive
        self.negative += negative


class RunningScores(nn.Module):
    """Moving average of the score that samples of each class get for that class.

    A step in which the class occurs, on any rank, is one observation: the mean over its samples of that step::

        s_c <- momentum * s_c + (1 - momentum) * mean score of class c in this step

    State: ``mean`` (C,) float32.

    Args:
        num_classes: C > 0.
        initial: value before the first observation.
        momentum: in [0, 1).
    """

    mean: Tensor

    def __init__(self, num_classes: int, initial: float = 0.01, momentum: float = 0.9) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer('mean', torch.full((_checked(num_classes),), initial))

    @torch.no_grad()
    def update(self, total: Tensor, number: Tensor) -> None:
        """Add an observation: the sum of the scores and the number of samples of each class, (C,) each."""
        if not self.training:
            return
        total, number = sum_over_ranks(total.double(), number.double())
        seen = (total / number.clamp_min(1e-12)).to(self.mean)
        self.mean.copy_(torch.where(number > 0, torch.lerp(seen, self.mean, self.momentum), self.mean))


class RunningConfusion(nn.Module):
    """Which class gets how much of the probability of samples of which class, over all samples seen.

    State: ``total`` (C, C) float64, row y = sum of the softmax over the classes of all samples labelled y. A row sums
    to the number of its samples. One process touches only the rows of the classes of a step. Several processes send
    all rows, C**2 float32 numbers per step: 5.8 MB at C = 1203.

    Args:
        num_classes: C > 0.
    """

    total: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.register_buffer('total', torch.zeros(_checked(num_classes), num_classes, dtype=torch.float64))

    def confusion(self) -> Tensor:
        """(C, C) float32: mean probability of class j (column) for samples of class y (row); 0 without samples."""
        return (self.total / self.total.sum(1, keepdim=True).clamp_min(1.0)).float()

    @torch.no_grad()
    def update(self, labels: Tensor, probability: Tensor) -> None:
        """Add what this rank saw.

        Args:
            labels: (P,) int64 in [0, C).
            probability: (P, C) of each sample; a row of zeros counts nothing.
        """
        if not self.training:
            return
        if not in_process_group():
            self.total.index_add_(0, labels, probability.to(self.total))
            return
        seen = torch.zeros_like(self.total, dtype=torch.float32).index_add_(0, labels, probability.float())
        self.total += sum_over_ranks(seen)[0]


def _checked(num_classes: int) -> int:
    """``num_classes``, or ``ValueError``."""
    if num_classes < 1:
        raise ValueError(f'num_classes must be >= 1, but got {num_classes}.')
    return num_classes
