"""How confident the predictions of each class are, in a histogram that is equal on all ranks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imbdense.core.reduction import count_values
from imbdense.core.stats import sum_over_ranks

BINS = 4096
LOGIT_RANGE = (-5.0, 14.0)


def bin_edges() -> Tensor:
    """(BINS,) float32, the lower edges: 0, then equally spaced in log p / (1 - p).

    Confidences crowd near 1, where equal steps in p would put most of an easy class into one bin. A bin is at most
    .0012 wide in p (at p = .5) and gets narrower towards 0 and 1.
    """
    edges = torch.sigmoid(torch.linspace(*LOGIT_RANGE, BINS, dtype=torch.float64)).float()
    edges[0] = 0.0
    return edges


class ConfidenceHistogram(nn.Module):
    """Histogram of the confidence per predicted class.

    State: ``counts`` (K, BINS) int64, persistent. The increment of every :meth:`add` is summed over all ranks.

    Args:
        num_classes: K >= 1.
    """

    counts: Tensor
    edges: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.register_buffer('counts', torch.zeros(num_classes, BINS, dtype=torch.int64))
        self.register_buffer('edges', bin_edges(), persistent=False)

    @torch.no_grad()
    def add(self, confidence: Tensor, predicted: Tensor, valid: Tensor | None = None) -> None:
        """Count elements of any shape; where ``valid`` is False nothing is counted."""
        self.counts += sum_over_ranks(self.increment(confidence, predicted, valid))[0]

    def increment(self, confidence: Tensor, predicted: Tensor, valid: Tensor | None = None) -> Tensor:
        """(K, BINS) int64: the histogram of these elements alone, on this rank."""
        place = torch.bucketize(confidence.contiguous(), self.edges, right=True).sub_(1).clamp_(0, BINS - 1)
        place += predicted * BINS
        rejected = self.num_classes * BINS
        if valid is not None:
            place = torch.where(valid, place, rejected)
        return count_values(place, rejected + 1)[:rejected].view(self.num_classes, BINS)

    def totals(self) -> Tensor:
        """(K,) int64: elements counted per class."""
        return self.counts.sum(1)

    def at_ranks(self, ranks: Tensor) -> Tensor:
        """(K,) float32: lower edge of the bin that holds the 1-based rank from the top; NaN where the rank is 0.

        At least ``ranks`` elements are at or above it. It is below the exact value of
        :func:`~imbdense.core.pseudo_label.rank_thresholds` by less than a bin.
        """
        tails = self.counts.flip(1).cumsum(1).flip(1)
        place = (tails >= ranks.unsqueeze(1)).sum(1) - 1
        return torch.where(ranks > 0, self.edges[place.clamp_min(0)], torch.nan)

    def clear(self) -> None:
        """Forget everything."""
        self.counts.zero_()
