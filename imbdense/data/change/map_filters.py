"""Filters of finished maps: a minimum mapping unit, and one class per polygon."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_number
from imbdense.data.raster.patch_merge import PatchMerge


def minimum_mapping_unit(
    labels: NDArray[Any], pixel_area: float, least_area: float, valid: NDArray[np.bool_] | None = None
) -> NDArray[Any]:
    """Give every 4-connected patch smaller than ``least_area`` to its largest neighbour.

    Acts on small patches of every class, also on holes of "unchanged" in a change. Pixels that are not ``valid`` stay
    and take no part; see :class:`~imbdense.data.raster.patch_merge.PatchMerge`.

    Args:
        labels: (H, W) classes below 2^31; bool works. pixel_area, least_area: > 0, >= 0, in one unit (m²).
        valid: (H, W); ``None`` = everywhere.

    Returns:
        A map of the dtype of ``labels``.
    """
    check_number('pixel_area', pixel_area, low=0.0, low_open=True, owner='minimum_mapping_unit')
    check_number('least_area', least_area, low=0.0, owner='minimum_mapping_unit')
    pixels = least_pixels(least_area, pixel_area)
    if pixels < 2 or labels.size == 0:
        return labels.copy()
    part = np.ones(labels.shape, bool) if valid is None else valid.astype(bool)
    merge = PatchMerge(pixels)
    merge.count(labels, part, np.ones(len(labels)))
    merge.finish()
    return merge.apply(labels, part)


def least_pixels(least_area: float, pixel_area: float) -> int:
    """The fewest pixels whose area is at least ``least_area``."""
    return math.ceil(least_area / pixel_area - 1e-9)


def polygon_majority(
    labels: NDArray[Any],
    polygons: Sequence[Mapping[str, Any]],
    transform: Any,
    *,
    least_share: float = 0.9,
    ignore_index: int = 255,
) -> NDArray[Any]:
    """Give all pixels of a polygon its most frequent class, where that class has at least ``least_share`` of them.

    Pixels belong to a polygon when their centre lies in it; where polygons overlap, to the later one. Ignored pixels
    are not counted and stay; of equally frequent classes the smaller one counts.

    Args:
        labels: (H, W) classes. polygons: GeoJSON geometries in the coordinates of the map.
        transform: affine transform of the map (pixels to coordinates), as rasterio gives it.
        least_share: in (0, 1].

    Returns:
        A map of the dtype of ``labels``.
    """
    votes = PolygonVotes(polygons, least_share, (ignore_index,))
    votes.count(labels, transform)
    return votes.apply(labels, transform)


class PolygonVotes:
    """:func:`polygon_majority` of a map that is read window by window: :meth:`count` all, then :meth:`apply` to all.

    Memory grows with the corners of the polygons and with the classes inside each, not with the map.

    Args:
        polygons, least_share: see there. ignored: values that are not counted and stay.
    """

    def __init__(
        self, polygons: Sequence[Mapping[str, Any]], least_share: float, ignored: Collection[int] = ()
    ) -> None:
        from rasterio.features import bounds

        check_number('least_share', least_share, low=0.0, high=1.0, low_open=True, owner='polygon_majority')
        self.polygons, self.least_share, self.ignored = list(polygons), least_share, np.array(sorted(ignored), int)
        self._boxes = np.array([bounds(shape) for shape in polygons]).reshape(-1, 4)
        self._votes: Counter[tuple[int, int]] = Counter()
        self._winners: NDArray[np.int64] | None = None

    def count(self, labels: NDArray[Any], transform: Any) -> None:
        """Count the classes of a window (h, w) with its own transform."""
        owner = self._owners(labels.shape, transform)
        counted = (owner > 0) & ~np.isin(labels, self.ignored)
        keys, pixels = np.unique(owner[counted].astype(np.int64) << 32 | labels[counted].astype(np.int64),
                                 return_counts=True)
        for key, number in zip(keys.tolist(), pixels.tolist()):
            self._votes[key >> 32, key & 0xFFFFFFFF] += number

    def apply(self, labels: NDArray[Any], transform: Any) -> NDArray[Any]:
        """Return a window with the winners in it."""
        if self._winners is None:
            self._winners = self._decided()
        winner = self._winners[self._owners(labels.shape, transform)]
        return np.where((winner >= 0) & ~np.isin(labels, self.ignored), winner, labels).astype(labels.dtype)

    def _decided(self) -> NDArray[np.int64]:
        """(polygons + 1,) the class of each, -1 where no class has the share."""
        total = np.zeros(len(self.polygons) + 1, np.int64)
        best = np.zeros_like(total)
        winners = np.full_like(total, -1)
        for (polygon, klass), pixels in sorted(self._votes.items()):
            total[polygon] += pixels
            if pixels > best[polygon]:
                best[polygon], winners[polygon] = pixels, klass
        winners[best < self.least_share * np.maximum(total, 1)] = -1
        return winners

    def _owners(self, shape: tuple[int, ...], transform: Any) -> NDArray[np.int32]:
        """Number of the polygon of each pixel, from 1; 0 = none."""
        from rasterio.features import rasterize

        t, (height, width) = transform, shape
        x = [t.c + t.a * column + t.b * row for column in (0, width) for row in (0, height)]
        y = [t.f + t.d * column + t.e * row for column in (0, width) for row in (0, height)]
        b = self._boxes
        near = (b[:, 0] < max(x)) & (b[:, 2] > min(x)) & (b[:, 1] < max(y)) & (b[:, 3] > min(y))
        if not near.any():
            return np.zeros(shape, np.int32)
        return rasterize([(self.polygons[k], k + 1) for k in np.flatnonzero(near)], out_shape=shape, transform=t,
                         fill=0, dtype='int32')
