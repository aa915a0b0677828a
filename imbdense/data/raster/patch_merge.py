"""Small patches of a map, given to their largest neighbour band of rows by band of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]
Pairs = NDArray[np.int64]
"""(N, 2)."""


@dataclass(frozen=True)
class _Band:
    """The patches of a band: ``run`` (h, W) number of the run of every pixel (a run is a piece of a row of one class);
    ``patch`` (R,) patch of every run, numbered by their first pixels; ``values`` (P,), -1 where pixels take no part;
    ``touching``: pairs of patches of two classes side by side."""

    run: NDArray[np.int32]
    patch: Index
    values: NDArray[np.int32]
    touching: Pairs

    @property
    def rows(self) -> tuple[Index, Index]:
        """The patches of the first and of the last row."""
        return self.patch[self.run[0]], self.patch[self.run[-1]]


class PatchMerge:
    """Gives every 4-connected patch smaller than ``least`` to its largest neighbour, in two passes over bands of rows.

    First :meth:`count` every band from top to bottom, then :meth:`finish`, then :meth:`apply` to the same bands. A
    neighbour that is too small itself is followed to its own largest neighbour, and so on; of equal neighbours the one
    whose first pixel comes first, row by row. Patches between which there is no large one (an islet in "no data") stay.
    The result does not depend on the height of the bands.

    Memory: some 30 bytes per pixel of a band, and while :meth:`finish` runs some 250 bytes per patch of the map.

    Args:
        least: area, in the unit of the weights.
    """

    def __init__(self, least: float) -> None:
        self.least = least
        self._values: list[NDArray[np.int32]] = []
        self._areas: list[NDArray[np.float64]] = []
        self._joined: list[Pairs] = []
        self._touching: list[Pairs] = []
        self._starts = [0]
        self._last: tuple[Index, NDArray[np.int32]] | None = None
        self._result = np.zeros(0, np.int32)
        self._applied = 0

    def count(self, labels: NDArray[np.integer], part: NDArray[np.bool_], weights: NDArray[np.float64]) -> None:
        """Note the patches of a band.

        Args:
            labels: (h, W) classes, 0 to 2^31 - 1. part: (h, W), pixels that belong to a patch; others stay and are no
                neighbours. weights: (h,) area of a pixel in each row.
        """
        band = _patches(labels, part)
        start = self._starts[-1]
        per_run = np.bincount(band.run.ravel(), np.repeat(weights, labels.shape[1]), minlength=len(band.patch))
        self._areas.append(np.bincount(band.patch, per_run, minlength=len(band.values)))
        self._values.append(band.values)
        self._touching.append(band.touching + start)
        first, last = band.rows
        if self._last is not None:
            pairs = _distinct(self._last[0], first + start)
            above, below = self._last[1][pairs[:, 0] - self._last[0].min()], band.values[pairs[:, 1] - start]
            self._joined.append(pairs[above == below])
            self._touching.append(pairs[(above != below) & (above >= 0) & (below >= 0)])
        low = int(last.min())
        self._last = last + start, band.values[low:]
        self._starts.append(start + len(band.values))

    def finish(self) -> int:
        """Decide; return how many patches are given away."""
        nothing = np.zeros((0, 2), np.int64)
        values = np.concatenate(self._values)
        patch = _components(len(values), np.concatenate([nothing, *self._joined]))
        areas = np.bincount(patch, np.concatenate(self._areas))
        own = np.zeros(len(areas), np.int32)
        own[patch] = values
        pairs = patch[np.concatenate(self._touching)]
        small = (areas < self.least) & (own >= 0)
        target = _largest_neighbour(np.concatenate([pairs, pairs[:, ::-1]]), areas, small)
        for _ in range(max(1, len(areas).bit_length())):  # each turn doubles how far the way has been followed
            target = target[target]
        given = small & (areas[target] >= self.least)
        self._result = np.where(given, own[target], own)[patch].astype(np.int32)
        self._values, self._areas, self._joined, self._touching = [], [], [], []
        return int(given.sum())

    def apply(self, labels: NDArray[np.integer], part: NDArray[np.bool_]) -> NDArray[np.integer]:
        """Return the next band (h, W) with its small patches gone, of the dtype of ``labels``."""
        band = _patches(labels, part)
        start = self._starts[self._applied]
        self._applied += 1
        found = self._result[start + band.patch][band.run]
        return np.where(part, found, labels).astype(labels.dtype)


def _patches(labels: NDArray[np.integer], part: NDArray[np.bool_]) -> _Band:
    """The patches of a band, found from its runs."""
    keys = np.where(part, labels.astype(np.int32), np.int32(-1))
    starts = np.ones(keys.shape, bool)
    starts[:, 1:] = keys[:, 1:] != keys[:, :-1]
    run = np.cumsum(starts.ravel(), dtype=np.int32).reshape(keys.shape) - np.int32(1)
    values = keys[starts]
    border = starts[1:] | starts[:-1]
    above, below = run[:-1][border], run[1:][border]
    same = values[above] == values[below]
    patch = _components(len(values), np.stack([above[same], below[same]], axis=1))
    beside = np.setdiff1d(np.arange(1, len(values)), run[:, 0], assume_unique=True)  # runs with one to their left
    left, right = np.concatenate([above[~same], beside - 1]), np.concatenate([below[~same], beside])
    counted = (values[left] >= 0) & (values[right] >= 0)
    own = np.zeros(int(patch.max(initial=-1)) + 1, np.int32)
    own[patch] = values
    return _Band(run, patch, own, _distinct(patch[left[counted]], patch[right[counted]]))


def _components(count: int, pairs: NDArray[np.integer]) -> Index:
    """(count,) connected component of each node, numbered in the order of their first nodes."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    if not count:
        return np.zeros(0, np.int64)
    ones = np.ones(len(pairs), bool)
    graph = coo_matrix((ones, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    found = connected_components(graph, directed=False)[1]
    first = np.unique(found, return_index=True)[1]
    place = np.empty(len(first), np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    return place[found]


def _distinct(one: NDArray[np.integer], two: NDArray[np.integer]) -> Pairs:
    """The different pairs (N, 2)."""
    low = int(two.min(initial=0))
    span = int(two.max(initial=0)) - low + 1
    keys = np.unique(one.astype(np.int64) * span + (two - low))
    return np.stack([keys // span, keys % span + low], axis=1)


def _largest_neighbour(pairs: Pairs, areas: NDArray[np.float64], small: NDArray[np.bool_]) -> Index:
    """(P,) the neighbour of each small patch with the largest area, of equal ones the first; others: themselves."""
    target = np.arange(len(areas))
    pairs = pairs[small[pairs[:, 0]]]
    pairs = pairs[np.lexsort((pairs[:, 1], -areas[pairs[:, 1]], pairs[:, 0]))]
    first = np.unique(pairs[:, 0], return_index=True)[1]
    target[pairs[first, 0]] = pairs[first, 1]
    return target
