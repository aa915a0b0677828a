"""Levels of a cloud for a network, and the links between the levels of two epochs; made where data is loaded.

With these index maps a network is tensor code alone: no search tree in its forward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from imbdense.core.change3d.radius_pairs import pairs_within

Floats32 = NDArray[np.float32]
Index = NDArray[np.int64]
NO_LINK = -1
"""Index of a missing neighbour: features there are taken as zero."""


@dataclass(frozen=True, eq=False)
class PyramidLevel:
    """One level: the occupied cells of edge voxel * 2 ** level, sorted by x, then y, then z.

    Attributes:
        coords: (N, 3) int64 cells. points: (N, 3) float32 barycentres, metres.
        parent: (N,) int64 the cell of the next level that holds each; empty on the last level.
    """

    coords: Index
    points: Floats32
    parent: Index

    def __len__(self) -> int:
        return len(self.coords)


@dataclass(frozen=True, eq=False)
class CrossLinks:
    """For each of N points the k nearest of another cloud.

    Attributes:
        index: (N, k) int64; ``NO_LINK`` where there is none within reach.
        weight: (N, k) float32, inverse distances with sum 1; zeros for a point whose nearest is out of reach.
    """

    index: Index
    weight: Floats32


def epoch_pyramid(coords: Index, points: Floats32, depth: int) -> list[PyramidLevel]:
    """Levels 0 ... ``depth`` of a cloud whose points are one per cell.

    Args:
        coords: (N, 3) int64 distinct cells, sorted by x, y, z (``numpy.lexsort`` of the columns). N may be 0.
        points: (N, 3) one point in each. Coarser points are the means of their children.

    Raises:
        ValueError: cells that are not distinct or not sorted.
    """
    if len(coords) > 1:
        step = np.diff(coords, axis=0)
        lead = step[np.arange(len(step)), (step != 0).argmax(axis=1)]
        if (lead <= 0).any():
            raise ValueError('epoch_pyramid: coords must be distinct and sorted by x, then y, then z.')
    levels = []
    for level in range(depth + 1):
        if level == depth:
            levels.append(PyramidLevel(coords, points, np.zeros(0, dtype=np.int64)))
            break
        coarse, parent = np.unique(coords // 2, axis=0, return_inverse=True)
        parent = parent.reshape(-1).astype(np.int64)
        levels.append(PyramidLevel(coords, points, parent))
        count = np.maximum(np.bincount(parent, minlength=len(coarse)), 1)
        mean = [np.bincount(parent, weights=points[:, axis], minlength=len(coarse)) / count for axis in range(3)]
        coords, points = coarse.reshape(-1, 3), np.stack(mean, axis=1).astype(np.float32)
    return levels


def cross_links(
    to: Sequence[PyramidLevel], of: Sequence[PyramidLevel], voxel: float, *, neighbours: int = 1, max_nn: float = 4.0
) -> list[CrossLinks]:
    """Per level, the nearest points of the epoch ``of`` for each point of the epoch ``to``.

    A point whose nearest neighbour is farther than ``max_nn`` cells of its level (metres: max_nn * voxel * 2 ** level)
    has no link; also where ``of`` is empty. Beyond the first, neighbours farther than that are dropped.
    """
    found = []
    for level, (here, there) in enumerate(zip(to, of, strict=True)):
        reach = max_nn * voxel * 2**level
        index = np.full((len(here), neighbours), NO_LINK, dtype=np.int64)
        weight = np.zeros((len(here), neighbours), dtype=np.float32)
        if len(here) and len(there):
            asked = min(neighbours, len(there))
            distance, nearest = cKDTree(there.points).query(here.points, k=asked, distance_upper_bound=reach)
            distance, nearest = distance.reshape(len(here), asked), nearest.reshape(len(here), asked)
            within = np.isfinite(distance)
            index[:, :asked] = np.where(within, nearest, NO_LINK)
            share = np.where(within, 1.0 / np.maximum(distance, 1e-6), 0.0)
            weight[:, :asked] = share / np.maximum(share.sum(axis=1, keepdims=True), 1e-12)
        found.append(CrossLinks(index, weight))
    return found


def neighbours_within(
    queries: Floats32, support: Floats32, radius: float, limit: int, rng: np.random.Generator
) -> NDArray[np.int32]:
    """(Q, m) int32 numbers of the ``support`` points within ``radius`` of each query, padded with ``NO_LINK``.

    m is the largest count, at most ``limit``; of more neighbours a random ``limit`` are kept.
    """
    query, point, _ = pairs_within(queries.astype(np.float64), cKDTree(support.astype(np.float64)), radius)
    order = np.lexsort((rng.random(len(query)), query))
    query, point = query[order], point[order]
    count = np.bincount(query, minlength=len(queries))
    place = np.arange(len(query)) - (np.cumsum(count) - count)[query]
    kept = place < limit
    table = np.full((len(queries), int(min(count.max(initial=0), limit))), NO_LINK, dtype=np.int32)
    table[query[kept], place[kept]] = point[kept]
    return table
