"""Features of many views gathered on the points they see."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_choice, check_integer

REDUCTIONS = ('mean', 'median', 'vis_weighted')
FLOOR = 0.05
"""The weight of a sighting just within the tolerance, so that a point seen only so is not lost."""


class FeatureVolume:
    """One feature per point from any number of views, added one after the other.

    'mean': ``f_i = sum_v f_iv / n_i``; 'vis_weighted': ``sum_v w_iv f_iv / sum_v w_iv`` with w = agreement of the
    depths, at least :data:`FLOOR`; 'median': of each channel by itself, which one wrong view cannot move. A point that
    no view sees has a row of zeros.

    Memory: mean and vis_weighted O(N C), whatever the number of views; median O(sightings x C) in float16.

    Args:
        num_points: N. channels: C. reduce: one of :data:`REDUCTIONS`.

    Attributes:
        count: (N,) int64, views that saw each point.
    """

    def __init__(self, num_points: int, channels: int, reduce: str = 'mean') -> None:
        check_integer('num_points', num_points, low=0, owner='FeatureVolume')
        check_integer('channels', channels, low=1, owner='FeatureVolume')
        self.reduce = check_choice('reduce', reduce, REDUCTIONS, owner='FeatureVolume')
        self.count = np.zeros(num_points, np.int64)
        self.channels = channels
        self._sum = np.zeros((num_points if reduce != 'median' else 0, channels))
        self._weight = np.zeros(num_points)
        self._kept: list[tuple[NDArray[np.int64], NDArray[np.float16]]] = []

    def add(self, point: NDArray[np.integer[Any]], features: NDArray[Any], agreement: NDArray[Any] | None = None
            ) -> None:  # fmt: skip
        """Add one view: ``features`` (n, C) of the points ``point`` (n,), each at most once, and the agreement (n,).

        Raises:
            ValueError: wrong shapes, a point twice, or features that are not finite.
        """
        features = np.asarray(features)
        if features.shape != (len(point), self.channels):
            raise ValueError(f'FeatureVolume: features must be ({len(point)}, {self.channels}), but are '
                             f'{features.shape}.')  # fmt: skip
        if not np.isfinite(features).all():
            raise ValueError('FeatureVolume: features that are NaN or infinite; look at the extractor and its input.')
        before = int(self.count.sum())
        self.count[point] += 1
        if int(self.count.sum()) - before != len(point):
            raise ValueError('FeatureVolume: a view may see a point once only.')
        if self.reduce == 'median':
            self._kept.append((np.asarray(point, np.int64), features.astype(np.float16)))
            return
        weight: NDArray[np.float64] = np.ones(len(point))
        if self.reduce == 'vis_weighted' and agreement is not None:
            weight = np.maximum(np.asarray(agreement, np.float64), FLOOR)
        self._sum[point] += weight[:, None] * features
        self._weight[point] += weight

    def result(self) -> NDArray[np.float32]:
        """(N, C) float32; zeros where no view saw the point."""
        if self.reduce == 'median':
            return self._median()
        return (self._sum / np.maximum(self._weight, 1e-12)[:, None]).astype(np.float32)

    def _median(self) -> NDArray[np.float32]:
        """Points with the same number of views are reduced together."""
        found = np.zeros((len(self.count), self.channels), np.float32)
        if not self._kept:
            return found
        point = np.concatenate([item[0] for item in self._kept])
        rows = np.concatenate([item[1] for item in self._kept])
        order = np.argsort(point, kind='stable')
        start = np.cumsum(self.count) - self.count
        for views in np.unique(self.count[self.count > 0]):
            chosen = np.flatnonzero(self.count == views)
            places = order[start[chosen][:, None] + np.arange(views)]
            found[chosen] = np.median(rows[places].astype(np.float32), axis=1)
        return found
