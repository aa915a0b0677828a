"""Drop the pixels about which the teacher is least sure, by entropy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from imbdense.core.checks import check_integer, check_number
from imbdense.core.pseudo_label.labeler import Predictions, PseudoLabeler
from imbdense.core.stats import sum_over_ranks


def entropy(probs: Tensor) -> Tensor:
    """-sum_c p_c log(p_c + 1e-10) over dim 1, natural logarithm."""
    return -(probs * (probs + 1e-10).log()).sum(1)


def masked_percentile(values: Tensor, valid: Tensor, percent: float) -> Tensor:
    """The percentile of the valid values with linear interpolation (as ``numpy.percentile``), without a host sync.

    Returns:
        Scalar of the dtype of ``values``; inf when nothing is valid.
    """
    if values.numel() == 0:
        return values.new_full((), torch.inf)
    ordered = torch.where(valid, values, torch.inf).flatten().sort().values
    place = percent / 100.0 * (valid.sum() - 1).clamp_min(0).double()
    low = place.floor().long()
    ends = ordered[torch.stack([low, place.ceil().long()])]
    return torch.where(ends[0] == ends[1], ends[0], torch.lerp(ends[0], ends[1], (place - low).to(values.dtype)))


def confidence_of_entropy(limit: Tensor, num_classes: int) -> Tensor:
    """The confidence q above which the entropy can not exceed ``limit``, whatever the other classes get.

    For a given q the entropy is largest when the rest is spread evenly::

        H(q) = -q log q - (1 - q) log((1 - q) / (K - 1)),   decreasing on [1/K, 1]

    Args:
        limit: scalar >= 0.
        num_classes: K >= 2.

    Returns:
        Scalar float32 in [1/K, 1] (bisection to 1e-7).
    """
    low = torch.full_like(limit, 1.0 / num_classes, dtype=torch.float64)
    high = torch.ones_like(low)
    for _ in range(30):
        middle = 0.5 * (low + high)
        rest = 1.0 - middle
        value = -torch.xlogy(middle, middle) - torch.xlogy(rest, rest / (num_classes - 1))
        low, high = torch.where(value > limit, middle, low), torch.where(value > limit, high, middle)
    return high.float()


class EntropyPercentile(PseudoLabeler):
    """Keep the pixels whose entropy is below a percentile of the batch, a growing share of them (U2PL).

    ``accepted iff H(p) < percentile_p(H)`` of the valid elements, p linear from ``start`` to ``end`` over the training
    (:meth:`set_progress`); at 100 everything valid is kept. Accepted elements weigh (all elements) / (accepted ones):
    with a loss divided by the accepted elements that is U2PL's term, divided by all elements the mean over the
    accepted.

    In train mode each rank takes the percentile of its own batch, as U2PL does. In eval mode, and for :meth:`select`,
    the last training step's is used, averaged over the ranks (at the beginning: everything is accepted).

    All classes share the limit: frequent, easy classes pass, rare ones are what is dropped. A yardstick.

    State (persistent): ``limit`` () float32.

    Args:
        num_classes: K >= 2.
        start, end: kept percentage at the beginning and at the end, in [0, 100].
        negative, ignore_index: see :class:`PseudoLabeler`.

    Source: Wang et al., U2PL, CVPR 2022.
    """

    limit: Tensor

    def __init__(
        self,
        num_classes: int,
        start: float = 80.0,
        end: float = 100.0,
        negative: float | Sequence[float] | str | None = None,
        ignore_index: int | None = None,
    ) -> None:
        check_integer('num_classes', num_classes, low=2, owner='EntropyPercentile')  # one class has no entropy
        super().__init__(num_classes, negative, ignore_index)
        self.start = check_number('start', start, low=0.0, high=100.0, owner='EntropyPercentile')
        self.end = check_number('end', end, low=0.0, high=100.0, owner='EntropyPercentile')
        self.register_buffer('limit', torch.tensor(math.inf))

    @property
    def percent(self) -> float:
        """The percentage that is kept at present."""
        return self.start + (self.end - self.start) * self.progress

    def thresholds(self) -> Tensor:
        """(K,) float32, all equal: the confidence from which the entropy is surely below the limit.

        An item that comes without its other probabilities is accepted by :meth:`select` only if the entropy rule would,
        however the rest was spread.
        """
        return confidence_of_entropy(self.limit, self.num_classes).expand(self.num_classes)

    def decide(self, seen: Predictions) -> tuple[Tensor, Tensor]:
        """Entropy below the percentile of this batch (train mode) or the stored limit (eval mode)."""
        values = entropy(seen.probs)
        if not self.training:
            return seen.predicted, values < self.limit
        if self.percent >= 100.0:
            self._keep(torch.full_like(self.limit, torch.inf), seen.valid)
            return seen.predicted, torch.ones_like(seen.valid)
        limit = masked_percentile(values, seen.valid, self.percent)
        self._keep(limit, seen.valid)
        return seen.predicted, values < limit

    def weigh(self, accepted: Tensor) -> Tensor:
        """(all elements) / (accepted ones)."""
        return accepted.numel() / accepted.sum().clamp_min(1).float()

    def _keep(self, limit: Tensor, valid: Tensor) -> None:
        """Store the mean over the ranks that had a valid element."""
        own = valid.any().float()
        total, number = sum_over_ranks(torch.where(own > 0, limit.to(self.limit), 0.0), own)
        self.limit.copy_(torch.where(number > 0, total / number.clamp_min(1.0), self.limit))
