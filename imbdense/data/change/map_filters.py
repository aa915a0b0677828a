"""Filters of finished maps: a minimum mapping unit, and one class per polygon."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_number


def minimum_mapping_unit(
    labels: NDArray[Any], pixel_area: float, least_area: float, valid: NDArray[np.bool_] | None = None
) -> NDArray[Any]:
    """Give every 4-connected patch smaller than ``least_area`` to its largest neighbour.

    Acts on small patches of every class, also on holes of "unchanged" in a change. Pixels that are not ``valid`` stay
    and take no part.

    Args:
        labels: (H, W) classes below 2^31; bool works. pixel_area, least_area: > 0, >= 0, in one unit (m²).
        valid: (H, W); ``None`` = everywhere.

    Returns:
        A map of the dtype of ``labels``.
    """
    check_number('pixel_area', pixel_area, low=0.0, low_open=True, owner='minimum_mapping_unit')
    check_number('least_area', least_area, low=0.0, owner='minimum_mapping_unit')
    pixels = math.ceil(least_area / pixel_area - 1e-9)
    if pixels < 2 or labels.size == 0:
        return labels.copy()
    from rasterio.features import sieve

    mask = None if valid is None else valid.astype(bool)
    found = sieve(labels.astype(np.int32), size=pixels, connectivity=4, mask=mask).astype(labels.dtype)
    return found if valid is None else np.where(valid, found, labels)


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
    are not counted and stay.

    Args:
        labels: (H, W) classes. polygons: GeoJSON geometries in the coordinates of the map.
        transform: affine transform of the map (pixels to coordinates), as rasterio gives it.
        least_share: in (0, 1].

    Returns:
        A map of the dtype of ``labels``.
    """
    check_number('least_share', least_share, low=0.0, high=1.0, low_open=True, owner='polygon_majority')
    if not polygons or labels.size == 0:
        return labels.copy()
    from rasterio.features import rasterize

    owner = rasterize(
        [(shape, number) for number, shape in enumerate(polygons, 1)], out_shape=labels.shape, transform=transform,
        fill=0, dtype='int32',
    )  # fmt: skip
    counted = (owner > 0) & (labels != ignore_index)
    classes, index = np.unique(labels[counted], return_inverse=True)
    if not classes.size:
        return labels.copy()
    table = np.zeros((len(polygons) + 1, classes.size), np.int64)
    np.add.at(table, (owner[counted], index), 1)
    winner, sure = classes[table.argmax(1)], table.max(1) >= least_share * np.maximum(table.sum(1), 1)
    return np.where(counted & sure[owner], winner[owner], labels).astype(labels.dtype)
