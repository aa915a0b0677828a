"""The ground under a cloud, from the lowest points of raster cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

MAX_CELLS = 2**27
"""Of the raster: 1 GiB of float64; a cloud that needs more is cut into tiles, or gets larger cells."""


def ground_height(points: ArrayLike, *, cell: float = 1.0, window: float = 30.0) -> NDArray[np.float64]:
    """Return (N,) height of the ground at each point, in the unit of z.

    The lowest z of every raster cell; empty cells take that of the nearest filled one; then a grey opening (the
    morphological filter of airborne scanning, Zhang et al. 2003, with one window) removes what stands out and is
    narrower than ``window`` (trees, cars, buildings); bilinear between cell centres. On a slope s the opening loses
    nothing, because it removes only what is higher on both sides.

    Single points below the ground (noise) pull their cell down: remove them first.

    Args:
        points: (N, 3) x, y, z.
        cell: side of a cell, > 0.
        window: width of the widest object, >= cell. Wider ones are taken for ground.

    Raises:
        ValueError: not (N, 3), cells or window out of range, or more than 2**27 cells.
    """
    cloud = np.asarray(points)
    if cloud.ndim != 2 or cloud.shape[1] != 3:
        raise ValueError(f'ground_height: points must be (N, 3), but are {cloud.shape}.')
    if not 0 < cell <= window:
        raise ValueError(f'ground_height: needs 0 < cell <= window, but got cell={cell}, window={window}.')
    if len(cloud) == 0:
        return np.zeros(0)
    plane = (cloud[:, :2] - cloud[:, :2].min(axis=0)) / cell
    shape = tuple(int(extent) + 1 for extent in plane.max(axis=0))
    if shape[0] * shape[1] > MAX_CELLS:
        raise ValueError(
            f'ground_height: {shape[0]} x {shape[1]} cells of {cell}; cut the cloud into tiles or take larger cells.'
        )
    index = plane.astype(np.int64)
    lowest = np.full(shape, np.inf)
    np.minimum.at(lowest.reshape(-1), index[:, 0] * shape[1] + index[:, 1], cloud[:, 2].astype(np.float64))
    empty = np.isinf(lowest)
    if empty.any():
        nearest = ndimage.distance_transform_edt(empty, return_distances=False, return_indices=True)
        lowest = lowest[tuple(nearest)]
    side = 2 * int(np.ceil(window / cell / 2)) + 1
    opened = ndimage.grey_opening(lowest, size=(min(side, 2 * shape[0] + 1), min(side, 2 * shape[1] + 1)))
    centred = np.clip(plane - 0.5, 0, np.array(shape) - 1)
    return ndimage.map_coordinates(opened, centred.T, order=1, mode='nearest')
