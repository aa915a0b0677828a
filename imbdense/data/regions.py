"""Connected regions of a label map, one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

EIGHT = np.ones((3, 3), int)
"""Neighbours of a pixel: all eight."""


def connected_regions(
    label: NDArray[np.integer], num_classes: int, min_area: int | Sequence[int] = 1
) -> Iterator[tuple[int, slice, slice, NDArray[np.bool_]]]:
    """Yield (class, rows, columns, mask inside this window) of every 8-connected region, by class, then by its first
    pixel in row order.

    Args:
        label: (H, W) class indices; values outside [0, ``num_classes``) belong to no region.
        min_area: smallest region in pixels, for all classes or one number per class.
    """
    from scipy.ndimage import find_objects
    from scipy.ndimage import label as connected

    smallest = np.broadcast_to(np.asarray(min_area, np.int64), (num_classes,))
    for klass in (int(value) for value in np.unique(label) if 0 <= value < num_classes):
        regions, _ = connected(label == klass, EIGHT)
        large = np.flatnonzero(np.bincount(regions.ravel()) >= smallest[klass])
        windows = find_objects(regions)
        for number in large[large > 0].tolist():
            rows, columns = windows[number - 1]
            yield klass, rows, columns, regions[rows, columns] == number
