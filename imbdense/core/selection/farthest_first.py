"""Farthest-first traversal, exact, with one pass over the rows for many steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from imbdense.core.selection.nearest_centre import Candidates, NearestCentre

Companions = Callable[[int], NDArray[np.int64]]


def farthest_first(
    nearest: NearestCentre, candidates: int, companions: Companions | None = None
) -> Iterator[tuple[int, float]]:
    """Rows in the order of the loop "take the row farthest from all centres (lowest on ties), make it a centre".

    Lazy and in batches: distances only fall, so as long as the best of the ``candidates`` farthest rows is ahead of
    every other row as it was at the last pass, it is the farthest of all. Only then all rows are brought up to date,
    by one matrix product. Rows equal to a centre come last, by their number.

    Args:
        nearest: with at least one centre; it is brought up to date as the rows are taken.
        candidates: rows followed between two passes.
        companions: rows that become centres (and are not yielded) when a row is taken, with itself.

    Yields:
        (row, squared distance to the nearest centre when it was taken).

    Time 2 n D per row at most, in matrix products; memory: the candidates.
    """
    distance = nearest.distance
    while distance.max() > 0:
        index, bound, last = _farthest(distance, candidates)
        group = nearest.candidates(index)
        new: list[int] = []
        while True:
            place = int(group.distance.argmax())
            value, row = float(group.distance[place]), int(group.index[place])
            if value <= 0 or value < bound or (value == bound and row >= last):
                break
            yield row, value
            new += _take(nearest, group, place, row, companions)
            if (group.distance >= max(bound, 0)).mean() < 0.5:
                group.keep(group.distance >= max(bound, 0))
                if not len(group.index):
                    break
        nearest.add(np.array(new, dtype=np.int64))
    for row in np.flatnonzero(distance == 0).tolist():
        if distance[row] == 0:
            yield row, 0.0
            distance[companions(row) if companions else row] = -1.0


def _farthest(distance: NDArray[np.float32], candidates: int) -> tuple[NDArray[np.int64], float, int]:
    """The first rows in the order (distance falling, row rising), ascending; distance and row of the next one."""
    if len(distance) <= candidates:
        return np.arange(len(distance)), -np.inf, -1
    bound = np.partition(distance, len(distance) - candidates - 1)[len(distance) - candidates - 1]
    above, equal = np.flatnonzero(distance > bound), np.flatnonzero(distance == bound)
    room = candidates - len(above)
    return np.sort(np.concatenate([above, equal[:room]])), float(bound), int(equal[room])


def _take(
    nearest: NearestCentre, group: Candidates, place: int, row: int, companions: Companions | None
) -> list[int]:
    """Make a candidate and its companions centres among the candidates."""
    group.add(place)
    if companions is None:
        return [row]
    rows = companions(row)
    for other in rows[rows != row]:
        group.add_outside(nearest.rows[np.array([other])][0])
    group.distance[np.isin(group.index, rows)] = -1.0
    return [int(other) for other in rows]
