"""Votes of overlapping crops on the points of one scene."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats32 = NDArray[np.float32]


class SceneVotes:
    """Sum of log-probabilities per point, in float32 on the host.

    Args:
        size: N points. num_classes: C.

    State: ``scores`` (N, C) float32 and ``votes`` (N,) int64; of one scene, on the rank that predicts it.
    """

    def __init__(self, size: int, num_classes: int) -> None:
        self.scores: Floats32 = np.zeros((size, num_classes), dtype=np.float32)
        self.votes = np.zeros(size, dtype=np.int64)

    def add(self, index: NDArray[np.int64], log_probability: Floats32) -> None:
        """Add the crop whose points have the numbers ``index`` (n,), each once, and log-probabilities (n, C)."""
        self.scores[index] += log_probability
        self.votes[index] += 1

    def labels(self, points: NDArray[np.floating], reach: float) -> NDArray[np.int64]:
        """Class (N,) with the largest sum (ties: the smaller id).

        A point (of ``points`` (N, 3)) without vote takes the class of the nearest that has some, if it is within
        ``reach`` metres; else 0 (unchanged).
        """
        found: NDArray[np.int64] = self.scores.argmax(axis=1).astype(np.int64)
        voted = self.votes > 0
        if voted.all():
            return found
        found[~voted] = 0
        if voted.any():
            distance, nearest = cKDTree(points[voted]).query(points[~voted], distance_upper_bound=reach)
            near = np.isfinite(distance)
            found[np.flatnonzero(~voted)[near]] = found[np.flatnonzero(voted)[nearest[near]]]
        return found
