"""Pick instances of one class so that their visible pixels add up to a wanted number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_STEPS = 12


def choose_subset(pixels: NDArray[np.float64], target: float, least: int,
                  start: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """Return which of the instances (N,) to keep, bool (N,), so that ``Σ pixels`` comes near ``target``.

    From ``start`` (or the longest prefix that does not exceed the target) single instances are added, removed or
    swapped, each time the best one, until nothing helps. At least ``min(least, N)`` instances stay; with ``least`` > 0
    and a target below them the smallest visible ones are taken. Deterministic; ties go to the lower index.
    """
    count = len(pixels)
    least = min(least, count)
    if start is None:
        chosen = np.cumsum(pixels) <= target
    else:
        chosen = start.copy()
    if int(chosen.sum()) < least:
        order = np.lexsort((np.arange(count), np.where(pixels > 0, pixels, np.inf)))
        for index in order:
            if int(chosen.sum()) >= least:
                break
            chosen[index] = True
    for _ in range(_STEPS):
        residual = target - float(pixels[chosen].sum())
        move = _best_move(pixels, chosen, residual, least)
        if move is None:
            break
        chosen[list(move)] = ~chosen[list(move)]
    return chosen


def _best_move(pixels: NDArray[np.float64], chosen: NDArray[np.bool_], residual: float, least: int
               ) -> tuple[int, ...] | None:
    """The add, removal or swap that brings the sum nearest to the target; ``None`` when none brings it nearer."""
    inside, outside = np.flatnonzero(chosen), np.flatnonzero(~chosen & (pixels > 0))
    best = abs(residual) * 0.98 - 1e-9
    move: tuple[int, ...] | None = None
    if len(outside):
        errors = np.abs(residual - pixels[outside])
        if float(errors.min()) < best:
            best, move = float(errors.min()), (int(outside[int(errors.argmin())]),)
    if len(inside) > least:
        errors = np.abs(residual + pixels[inside])
        if float(errors.min()) < best:
            best, move = float(errors.min()), (int(inside[int(errors.argmin())]),)
    if len(inside) and len(outside):
        swaps = np.abs(residual + pixels[inside][:, None] - pixels[outside][None, :])
        if float(swaps.min()) < best:
            row, column = np.unravel_index(int(swaps.argmin()), swaps.shape)
            move = (int(inside[row]), int(outside[column]))
    return move
