"""Areas of interest: polygons of a vector file as a mask over the reference grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imbdense.data.geotiff import Window
from imbdense.data.raster.grid import Grid
from imbdense.data.raster.vector_files import Shape, read_polygons


class AreaOfInterest:
    """Polygons in the coordinates of a grid.

    Args:
        path: a GeoJSON or GeoPackage file, see :func:`~imbdense.data.raster.vector_files.read_polygons`.
        grid: the reference grid; polygons are brought to its coordinate system.

    Raises:
        ValueError: no polygon, or none that touches the grid; a file that cannot be read. The message names it.
    """

    def __init__(self, path: str, grid: Grid) -> None:
        self.grid, self.path, self.shapes = grid, path, polygons_on(path, grid)

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """Return which pixel centres of a window lie inside, bool (h, w)."""
        from rasterio import Affine
        from rasterio.features import rasterize

        row, column, height, width = window
        t = self.grid.transform
        part = Affine(t.a, t.b, t.c + column * t.a, t.d, t.e, t.f + row * t.e)
        return rasterize(self.shapes, out_shape=(height, width), transform=part, fill=0, default_value=1,
                         dtype='uint8').astype(bool)


def polygons_on(path: str, grid: Grid) -> list[Shape]:
    """Return those polygons of a file whose box touches a grid, in its coordinate system.

    Raises:
        ValueError: as :class:`AreaOfInterest`; a grid without a coordinate system.
    """
    from rasterio.features import bounds
    from rasterio.warp import transform_bounds, transform_geom

    if grid.crs is None:
        raise ValueError(f'{path}: its polygons have no place on a raster without a coordinate system. Set that of the '
                         f'raster with `rio edit-info --crs EPSG:... FILE`.')
    shapes, crs = read_polygons(path)
    t = grid.transform
    corners = [(column, row) for column in (0, grid.width) for row in (0, grid.height)]
    x = [t.c + t.a * column + t.b * row for column, row in corners]
    y = [t.f + t.d * column + t.e * row for column, row in corners]
    west, south, east, north = transform_bounds(grid.crs, crs, min(x), min(y), max(x), max(y))
    boxes = [bounds(shape) for shape in shapes]
    near = [b[0] < east and b[2] > west and b[1] < north and b[3] > south for b in boxes]
    if not any(near):
        raise ValueError(f'{path}: no polygon touches the raster, which spans {(west, south, east, north)} in '
                         f'{crs}; the first polygon spans {boxes[0]}.')
    return [transform_geom(crs, grid.crs, shape) for shape, touches in zip(shapes, near) if touches]
