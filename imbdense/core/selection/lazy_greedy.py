"""Greedy choice of rows whose gains only fall, with few evaluations."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Objective(Protocol):
    """A set function whose gains do not grow when rows are added (monotone and submodular)."""

    def gains(self) -> NDArray[np.float64]:
        """(n,) what each row would add now."""

    def gain(self, row: int) -> float:
        """What one row would add now."""

    def add(self, row: int) -> None:
        """Take a row."""


def lazy_greedy(
    objective: Objective,
    eligible: NDArray[np.int64],
    cost: NDArray[np.float64] | None = None,
    allowed: Callable[[int], bool] | None = None,
) -> Iterator[tuple[int, float]]:
    """Rows by the largest gain (or gain / cost), the lowest row on ties, exactly as if all gains were computed anew.

    A gain computed earlier is an upper bound, so only the rows on top of a heap are evaluated.

    Args:
        objective: is changed as rows are taken.
        eligible: int64 rows to choose from.
        cost: (n,) > 0; ``None`` = 1.
        allowed: asked before a row is evaluated; a row that is not allowed is left out for good.

    Yields:
        (row, gain).

    Source: Minoux, Accelerated greedy algorithms for maximizing submodular set functions, 1978.
    """
    gains = objective.gains()
    price = np.ones(len(gains)) if cost is None else cost
    heap = [(-gains[row] / price[row], row) for row in eligible.tolist()]
    heapq.heapify(heap)
    while heap:
        _, row = heapq.heappop(heap)
        if allowed is not None and not allowed(row):
            continue
        gain = objective.gain(row)
        entry = (-gain / price[row], row)
        if heap and entry > heap[0]:
            heapq.heappush(heap, entry)
            continue
        yield row, gain
        objective.add(row)


def stochastic_greedy(
    objective: Objective, eligible: NDArray[np.int64], size: int, rng: np.random.Generator
) -> Iterator[tuple[int, float]]:
    """Rows by the largest gain among ``size`` random ones that are left, the lowest row on ties.

    Source: Mirzasoleiman et al., Lazier than lazy greedy, AAAI 2015.
    """
    left = eligible.copy()
    while len(left):
        places = np.sort(rng.choice(len(left), min(size, len(left)), replace=False))
        gains = [objective.gain(row) for row in left[places].tolist()]
        best = int(np.argmax(gains))
        row = int(left[places[best]])
        yield row, float(gains[best])
        objective.add(row)
        left = np.delete(left, places[best])
