"""Which cluster is which: against classes, and against the clusters of an earlier round."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment


def match_clusters(table: NDArray[Any], *, many_to_one: bool = False) -> NDArray[np.int64]:
    """Class of each cluster.

    One to one: the assignment with the largest number of right positions (Hungarian method); with more clusters than
    classes that occur some clusters stay without (-1), with fewer some classes do. Many to one: every cluster takes its
    commonest class (the lowest on ties), an empty one -1.

    Args:
        table: (C, K) counts, rows = truth, columns = cluster.

    Returns:
        (K,) int64 in [-1, C). A class without truth gets no cluster.
    """
    counts = np.asarray(table, np.int64)
    if counts.ndim != 2 or (counts.size and counts.min() < 0):
        raise ValueError(f'match_clusters: table must be (classes, clusters) counts >= 0, but is {counts.shape}.')
    owner = np.full(counts.shape[1], -1, np.int64)
    if counts.size == 0:
        return owner
    if many_to_one:
        used = counts.sum(0) > 0
        owner[used] = counts[:, used].argmax(0)
        return owner
    present = np.flatnonzero(counts.sum(1) > 0)
    rows, columns = linear_sum_assignment(counts[present], maximize=True)
    owner[columns] = present[rows]
    return owner


def match_centroids(before: NDArray[Any], after: NDArray[Any]) -> NDArray[np.int64]:
    """Order that lines up the clusters of two rounds: ``after[order][k]`` continues ``before[k]``.

    The assignment with the largest sum of cosines (Hungarian method), so that logs and averages of cluster k speak of
    one thing over the rounds.

    Args:
        before, after: (K, D) centroids; rows of zeros match anything.

    Returns:
        (K,) int64, a permutation.
    """
    if np.shape(before) != np.shape(after) or np.ndim(before) != 2:
        raise ValueError(f'match_centroids: both must be (K, D), but are {np.shape(before)} and {np.shape(after)}.')
    cosine = _unit(before) @ _unit(after).T
    _, order = linear_sum_assignment(cosine, maximize=True)
    return np.asarray(order, np.int64)


def _unit(rows: NDArray[Any]) -> NDArray[np.float64]:
    """Rows of unit length."""
    values = np.asarray(rows, np.float64)
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12))
