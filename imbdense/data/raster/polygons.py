"""A finished map as polygons: connected pixels of one class, across the borders of blocks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imbdense.data.geotiff import open_raster
from imbdense.data.raster.areas import area_below
from imbdense.data.raster.geopackage import write_geopackage


def write_polygons(path: Path, target: Path, classes: Sequence[str], leave_out: Collection[int] = ()) -> int:
    """Write the 4-connected regions of a one-band map as a GeoPackage, and return their number.

    Fields: ``class`` (value), ``name``, ``area`` in square metres (in degrees on the ellipsoid; in pixels without a
    coordinate system). Pixels without data and the values ``leave_out`` have no polygon. GDAL goes through the map line
    by line, so memory grows with the number of polygons, not of pixels.
    """
    with open_raster(path) as source:
        features = _features(source, classes, set(leave_out) | {int(source.nodata)})
        fields = {'class': 'INTEGER', 'name': 'TEXT', 'area': 'REAL'}
        return write_geopackage(target, path.stem, source.crs, fields, features)


def _features(source: Any, classes: Sequence[str], without: set[int]) -> Iterator[tuple[list[Any], list[Any]]]:
    """(rings, values) of each region."""
    import rasterio
    from rasterio.features import shapes

    for shape, number in shapes(rasterio.band(source, 1), connectivity=4, transform=source.transform):
        value = int(number)
        if value not in without:
            rings = shape['coordinates']
            area = _area(rings[0], source.crs) - sum(_area(ring, source.crs) for ring in rings[1:])
            yield rings, [value, classes[value] if value < len(classes) else str(value), area]


def _area(ring: Sequence[tuple[float, float]], crs: Any) -> float:
    """What a closed ring holds; relative to its first corner, so that large coordinates cost no digits."""
    x, y = np.asarray(ring).T
    below = area_below(crs, y)
    heights = below - below[0]
    return abs(float(np.sum(np.diff(x) * (heights[1:] + heights[:-1])))) / 2
