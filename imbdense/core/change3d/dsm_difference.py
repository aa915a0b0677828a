"""Difference of surface models: the highest point of each cell, epoch 2 minus epoch 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbdense.core.change3d.checks import check_overlap, check_xyz
from imbdense.core.checks import check_number

Floats = NDArray[np.float64]
MOST_CELLS = 400_000_000


@dataclass(frozen=True, eq=False)
class DsmDifference:
    """Rasters (H, W) of float64 metres; row 0 is the northern (largest y) edge; NaN where an epoch has no point.

    Attributes:
        difference: epoch 2 - epoch 1. surface1, surface2: the highest z per cell.
        west, north: coordinates of the outer corner of cell [0, 0]. cell: metres.
    """

    difference: Floats
    surface1: Floats
    surface2: Floats
    west: float
    north: float
    cell: float

    def at(self, xyz: ArrayLike) -> Floats:
        """The difference under each point (N,); NaN outside the raster."""
        points = np.asarray(xyz, dtype=np.float64)
        row, column, inside = _cells(points, self.west, self.north, self.cell, self.difference.shape)
        found = np.full(len(points), np.nan)
        found[inside] = self.difference[row[inside], column[inside]]
        return found


def dsm_difference(epoch1: ArrayLike, epoch2: ArrayLike, cell: float) -> DsmDifference:
    """Rasterise both epochs (N, 3) on one grid of ``cell`` metres that covers both, and subtract.

    The grid starts at multiples of ``cell``, so neighbouring tiles fit together.

    Raises:
        CloudError: an epoch is empty or not finite, or they do not overlap. ValueError: cell <= 0 or far too small.
    """
    first, second = check_xyz('epoch1', epoch1), check_xyz('epoch2', epoch2)
    cell = check_number('cell', cell, low=0.0, low_open=True, owner='dsm_difference')
    check_overlap(first, second, ('epoch1', 'epoch2'))
    low = np.floor(np.minimum(first.min(axis=0), second.min(axis=0))[:2] / cell)
    high = np.floor(np.maximum(first.max(axis=0), second.max(axis=0))[:2] / cell) + 1
    width, height = (int(value) for value in high - low)
    if width * height > MOST_CELLS:
        raise ValueError(f'dsm_difference: cell={cell} m makes {height} x {width} cells; choose a larger cell.')
    west, north = float(low[0] * cell), float(high[1] * cell)
    surfaces = [surface_raster(cloud, west, north, cell, (height, width)) for cloud in (first, second)]
    return DsmDifference(surfaces[1] - surfaces[0], surfaces[0], surfaces[1], west, north, cell)


def surface_raster(xyz: Floats, west: float, north: float, cell: float, shape: tuple[int, ...]) -> Floats:
    """The highest z of the points (N, 3) in each cell; NaN where there is none. Points outside are left out.

    ``west`` and ``north`` are multiples of ``cell``; a point on a border belongs to the cell east or north of it.
    """
    row, column, inside = _cells(xyz, west, north, cell, shape)
    surface = np.full(shape[0] * shape[1], -np.inf)
    np.maximum.at(surface, row[inside] * shape[1] + column[inside], xyz[inside, 2])
    surface[np.isneginf(surface)] = np.nan
    return surface.reshape(shape)


def _cells(
    xyz: Floats, west: float, north: float, cell: float, shape: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Row and column of each point, and whether it lies on the raster."""
    number = np.floor(xyz[:, :2] / cell).astype(np.int64)
    column, row = number[:, 0] - round(west / cell), round(north / cell) - 1 - number[:, 1]
    return row, column, (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
