"""Graph segmentation by Felzenszwalb and Huttenlocher: merge what differs less than it varies inside."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_integer, check_number


def felzenszwalb_labels(
    num_nodes: int, edges: NDArray[np.integer[Any]], weights: NDArray[np.floating[Any]], *, scale: float, min_size: int
) -> NDArray[np.int64]:
    """Merge the ends of each edge, shortest first, if ``w <= min(Int(A) + k / |A|, Int(B) + k / |B|)``.

    ``Int`` is the longest edge merged inside a part so far. Then parts with fewer than ``min_size`` nodes are merged
    along their shortest edge. Equal edges are taken in their given order.

    Args:
        num_nodes: M. edges: (E, 2) int. weights: (E,) >= 0. scale: k >= 0. min_size: >= 0.

    Returns:
        (M,) int64, 0..S-1 in the order of the lowest node of each part.

    Source: Efficient graph-based image segmentation, IJCV 2004.
    """
    check_number('scale', scale, low=0.0, owner='felzenszwalb_labels')
    check_integer('min_size', min_size, low=0, owner='felzenszwalb_labels')
    order = np.argsort(weights, kind='stable')
    ordered = list(zip(edges[order, 0].tolist(), edges[order, 1].tolist(), np.asarray(weights)[order].tolist()))
    parent, size, limit = list(range(num_nodes)), [1] * num_nodes, [float(scale)] * num_nodes

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def merge(first: int, second: int) -> int:
        low, high = min(first, second), max(first, second)
        parent[high] = low
        size[low] += size[high]
        return low

    for first, second, weight in ordered:
        a, b = root(first), root(second)
        if a != b and weight <= min(limit[a], limit[b]):
            kept = merge(a, b)
            limit[kept] = weight + scale / size[kept]
    for first, second, _ in ordered:
        a, b = root(first), root(second)
        if a != b and min(size[a], size[b]) < min_size:
            merge(a, b)
    roots = np.array([root(node) for node in range(num_nodes)], np.int64)
    return np.asarray(np.unique(roots, return_inverse=True)[1].reshape(-1), np.int64)
