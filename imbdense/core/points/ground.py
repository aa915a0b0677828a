"""The ground under a cloud, from the lowest points of raster cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

MAX_CELLS = 2**27
"""Of the raster: 1 GiB of float64; a cloud that needs more is cut into tiles, or gets larger cells."""

STEP, STEEPNESS, LARGEST_STEP = 0.3, 0.15, 2.5
"""Metres, metres per metre, metres: what may stand out and still be ground."""


def ground_height(points: ArrayLike, *, cell: float = 1.0, window: float = 30.0) -> NDArray[np.float64]:
    """Return (N,) height of the ground at each point, in the unit of z.

    The lowest z of every raster cell; empty cells take that of the nearest filled one; then the progressive
    morphological filter of Zhang et al. (IEEE TGRS 2003): openings of growing width up to ``window``, each of which
    replaces the cells that stand out by more than 0.3 m + 0.15 times the growth of the width (at most 2.5 m), so that
    trees, cars and buildings go and hills stay; bilinear between cell centres. The plane through the lower half of
    the cells is taken off before, or the upper border of a slope would be cut away as a peak.

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
    slope = _lower_plane(lowest)
    surface = _filtered(lowest - slope, cell, window) + slope
    centred = np.clip(plane - 0.5, 0, np.array(shape) - 1)
    return ndimage.map_coordinates(surface, centred.T, order=1, mode='nearest')


def _filtered(surface: NDArray[np.float64], cell: float, window: float) -> NDArray[np.float64]:
    """The raster without what stands out and is narrower than ``window``."""
    last, width = 1, 3
    while True:
        width = min(width, 2 * int(np.ceil(window / cell / 2)) + 1)
        opened = ndimage.grey_opening(surface, size=tuple(min(width, 2 * side + 1) for side in surface.shape))
        step = min(STEP + STEEPNESS * (width - last) * cell, LARGEST_STEP)
        surface = np.where(surface - opened > step, opened, surface)
        if width * cell >= window:
            return surface
        last, width = width, 2 * width - 1


def _lower_plane(raster: NDArray[np.float64]) -> NDArray[np.float64]:
    """The plane of least squares through the cells, twice fitted again to those below its residuals' median."""
    rows, columns = np.indices(raster.shape)
    design = np.column_stack([np.ones(raster.size), rows.ravel(), columns.ravel()]).astype(np.float64)
    values, used = raster.ravel(), np.ones(raster.size, bool)
    for _ in range(3):
        solution = np.linalg.lstsq(design[used], values[used], rcond=None)[0]
        residual = values - design @ solution
        used = residual <= np.median(residual)
    return (design @ solution).reshape(raster.shape)
