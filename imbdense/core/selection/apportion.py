"""Whole numbers in proportion to weights, between a floor and a cap: shares by water-filling, largest remainders."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

EXACT = 1e-9
"""Remainders closer than this are equal: they differ by rounding only."""


def apportion(
    total: int,
    weights: ArrayLike,
    caps: ArrayLike,
    floors: ArrayLike | None = None,
    carry: NDArray[np.float64] | None = None,
) -> NDArray[np.int64]:
    """Distribute ``total`` over cells in proportion to ``weights``; the sum is exact.

    :func:`fair_shares` gives the real-valued shares; each cell gets its whole part, and what is left goes one by one to
    the largest remainders, ties to the lowest index (Hamilton's method with bounds).

    Args:
        total: items to distribute; limited to [sum of floors, sum of caps].
        weights: (n,) >= 0, positive where the cap is above the floor.
        caps: (n,) integers >= 0, most a cell can take.
        floors: (n,) integers in [0, cap], what a cell has in any case; ``None`` = 0.
        carry: (n,) what the same cells were given too little in earlier calls. It is added to the remainders when they
            are compared, and updated in place. So several calls together are as close to proportion as each alone.

    Returns:
        (n,) int64.

    Raises:
        ValueError: lengths differ, a floor above its cap, or a cell that could take more but has no weight.
    """
    shares = fair_shares(total, weights, caps, floors)
    given = np.floor(shares + EXACT).astype(np.int64)
    remainders = np.where(shares - given > EXACT, shares - given, 0.0)
    left = round(float(shares.sum())) - int(given.sum())
    if left:
        open_cells = np.flatnonzero(remainders)
        urgency = remainders[open_cells] + (0.0 if carry is None else carry[open_cells])
        given[open_cells[np.argsort(-np.round(urgency, 9), kind='stable')[:left]]] += 1
    if carry is not None:
        carry += shares - given
    return given


def fair_shares(
    total: int, weights: ArrayLike, caps: ArrayLike, floors: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Real-valued shares ``clip(level * w_i, floor_i, cap_i)`` with the level that makes their sum ``total``.

    With equal weights this is water-filling: a cell with less than an equal share gives the rest to the others. What a
    cell has already (its floor) counts. Arguments and errors as in :func:`apportion`; O(n log n).
    """
    weight, cap = np.asarray(weights, np.float64), np.asarray(caps, np.float64)
    floor = np.zeros_like(cap) if floors is None else np.asarray(floors, np.float64)
    _check(weight, cap, floor)
    amount = float(np.clip(total, floor.sum(), cap.sum()))
    free = np.flatnonzero(cap > floor)
    shares = floor.copy()
    if free.size:
        level = _level(amount - float(floor.sum()), weight[free], cap[free], floor[free])
        shares[free] = np.clip(level * weight[free], floor[free], cap[free])
    return shares


def _level(excess: float, weight: NDArray[np.float64], cap: NDArray[np.float64], floor: NDArray[np.float64]) -> float:
    """The level at which the cells hold ``excess`` more than their floors.

    The sum grows with slope w from floor / w to cap / w of each cell; the events are walked in order.
    """
    events = np.concatenate([floor / weight, cap / weight])
    slopes = np.concatenate([weight, -weight])
    order = np.argsort(events, kind='stable')
    events, slope = events[order], np.cumsum(slopes[order])
    reached = np.concatenate([[0.0], np.cumsum(np.diff(events) * slope[:-1])])
    event = min(int(np.searchsorted(reached, excess, side='right')) - 1, len(events) - 1)
    rest = excess - reached[event]
    return float(events[event] + (rest / slope[event] if rest > 0 and slope[event] > EXACT * weight.max() else 0.0))


def _check(weight: NDArray[np.float64], cap: NDArray[np.float64], floor: NDArray[np.float64]) -> None:
    """Lengths, order of the bounds, and weights where they are needed."""
    if not weight.shape == cap.shape == floor.shape or weight.ndim != 1:
        raise ValueError(
            f'apportion: weights, caps and floors must have one length, but have the shapes {weight.shape}, '
            f'{cap.shape} and {floor.shape}.'
        )
    if (floor < 0).any() or (floor > cap).any():
        raise ValueError('apportion: every floor must lie between 0 and its cap.')
    if (weight < 0).any() or not np.isfinite(weight).all() or ((weight == 0) & (cap > floor)).any():
        raise ValueError('apportion: weights must be finite, and positive where the cap is above the floor.')
