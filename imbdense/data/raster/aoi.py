"""Areas of interest: polygons of a vector file as a mask over the reference grid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.geotiff import Window
from imbdense.data.raster.grid import Grid

GEOJSON_CRS = 'EPSG:4326'


class AreaOfInterest:
    """Polygons in the coordinates of a grid.

    GeoJSON is always read: in longitude and latitude, or in the coordinate system its old-style ``crs`` member names.
    GeoPackage, Shapefile and other formats need pyogrio or fiona.

    Args:
        path: the vector file. grid: the reference grid; polygons are brought to its coordinate system.

    Raises:
        ValueError: no polygon, or none that touches the grid; a file that cannot be read. The message names it.
        ImportError: a format that needs pyogrio or fiona, and neither is there.
    """

    def __init__(self, path: str, grid: Grid) -> None:
        from rasterio.features import bounds
        from rasterio.warp import transform_bounds, transform_geom

        self.grid, self.path = grid, path
        shapes, crs = _read(Path(path))
        shapes = [shape for shape in shapes if 'Polygon' in shape['type']]
        if not shapes:
            raise ValueError(f'{path}: holds no polygon.')
        t = grid.transform
        (left, right), (low, high) = (sorted((start, start + step * count)) for start, step, count in
                                      ((t.c, t.a, grid.width), (t.f, t.e, grid.height)))
        west, south, east, north = transform_bounds(grid.crs, crs, left, low, right, high)
        boxes = [bounds(shape) for shape in shapes]
        near = [b[0] < east and b[2] > west and b[1] < north and b[3] > south for b in boxes]
        if not any(near):
            raise ValueError(f'{path}: no polygon touches the raster, which spans {(west, south, east, north)} in '
                             f'{crs}; the first polygon spans {boxes[0]}.')
        self.shapes = [transform_geom(crs, grid.crs, shape) for shape, touches in zip(shapes, near) if touches]

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """Return which pixel centres of a window lie inside, bool (h, w)."""
        from rasterio import Affine
        from rasterio.features import rasterize

        row, column, height, width = window
        t = self.grid.transform
        part = Affine(t.a, t.b, t.c + column * t.a, t.d, t.e, t.f + row * t.e)
        return rasterize(self.shapes, out_shape=(height, width), transform=part, fill=0, default_value=1,
                         dtype='uint8').astype(bool)


def _read(path: Path) -> tuple[list[dict[str, Any]], Any]:
    """Geometries and coordinate system of a vector file."""
    if path.suffix.lower() in ('.geojson', '.json'):
        try:
            content = json.loads(path.read_text(encoding='utf-8'))
            features = content['features'] if content['type'] == 'FeatureCollection' else [content]
            shapes = [feature.get('geometry', feature) for feature in features]
            crs = content.get('crs', {}).get('properties', {}).get('name', GEOJSON_CRS)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f'{path}: cannot be read as GeoJSON ({error}).') from error
        return [shape for shape in shapes if shape], crs
    try:
        import fiona  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError:
        return _read_pyogrio(path)
    with fiona.open(path) as source:
        return [dict(item['geometry']) for item in source], source.crs


def _read_pyogrio(path: Path) -> tuple[list[dict[str, Any]], Any]:
    """The same with pyogrio and shapely."""
    try:
        import pyogrio  # type: ignore[import-untyped,import-not-found,unused-ignore]
        import shapely  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError as error:
        raise ImportError(f'{path}: reading {path.suffix} needs pyogrio and shapely, or fiona ({error}); or convert it '
                          f'to GeoJSON: `ogr2ogr aoi.geojson {path.name}`.') from error
    meta, _, geometry, _ = pyogrio.raw.read(path)
    return [json.loads(shapely.to_geojson(shapely.from_wkb(item))) for item in geometry], meta['crs']
