"""All pairs (query, point) within a radius, chunk by chunk: memory follows the pairs of a chunk, never N x M."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

PAIRS_AT_ONCE = 2_000_000
"""Aim for the pairs of a chunk: about 100 MB of temporary arrays."""


def leaf_order(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """An order of ``points`` (N, 3) in which neighbours in space are neighbours in the list: that of a k-d tree."""
    order: NDArray[np.int64] = np.asarray(cKDTree(points).indices, dtype=np.int64)
    return order


def chunks(total: int, first: int = 256) -> Iterator[tuple[slice, list[int]]]:
    """Slices of ``range(total)`` whose length adapts: the consumer appends the pairs it found to the yielded list."""
    start, length = 0, first
    while start < total:
        stop, found = min(start + length, total), [0]
        yield slice(start, stop), found
        per_query = max(found) / (stop - start)
        length = int(np.clip(PAIRS_AT_ONCE / max(per_query, 1.0), 32, 4 * length))
        start = stop


def pairs_within(
    queries: NDArray[np.float64], tree: cKDTree, radius: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """(query, point, distance) of all pairs at most ``radius`` apart, in no particular order."""
    if len(queries) == 0 or tree.n == 0:
        none = np.zeros(0, dtype=np.int64)
        return none, none, np.zeros(0)
    found = cKDTree(queries).sparse_distance_matrix(tree, radius, output_type='ndarray')
    return found['i'].astype(np.int64), found['j'].astype(np.int64), found['v']
