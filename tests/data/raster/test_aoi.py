from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imbdense.data.raster.aoi import AreaOfInterest
from imbdense.data.raster.sources import reference_grid
from tests.data.raster.places import CRS, ORIGIN, place

pytest.importorskip('rasterio')


def polygon(left: float, top: float, right: float, bottom: float) -> dict[str, Any]:
    """A rectangle in pixels of the made-up place, in its coordinates."""
    x = [ORIGIN[0] + 2 * left, ORIGIN[0] + 2 * right]
    y = [ORIGIN[1] - 2 * top, ORIGIN[1] - 2 * bottom]
    return {'type': 'Polygon', 'coordinates': [[[x[0], y[0]], [x[1], y[0]], [x[1], y[1]], [x[0], y[1]], [x[0], y[0]]]]}


def collection(*shapes: dict[str, Any], **extra: Any) -> str:
    """GeoJSON text."""
    features = [{'type': 'Feature', 'properties': {}, 'geometry': shape} for shape in shapes]
    return json.dumps({'type': 'FeatureCollection', 'features': features, **extra})


def test_polygons_in_degrees_and_with_a_named_system(tmp_path: Path) -> None:
    from rasterio.warp import transform_geom

    grid = reference_grid(place(tmp_path)['t1'])
    wanted = np.zeros((120, 160), bool)
    wanted[20:60, 30:90] = True
    named, degrees = tmp_path / 'named.geojson', tmp_path / 'degrees.json'
    named.write_text(collection(polygon(30, 20, 90, 60), crs={'type': 'name', 'properties': {'name': CRS}}))
    degrees.write_text(collection(transform_geom(CRS, 'EPSG:4326', polygon(30, 20, 90, 60))))
    assert np.array_equal(AreaOfInterest(str(named), grid).mask((0, 0, 120, 160)), wanted)
    assert (AreaOfInterest(str(degrees), grid).mask((0, 0, 120, 160)) == wanted).mean() > 0.999
    part = AreaOfInterest(str(named), grid).mask((50, 80, 30, 20))
    assert np.array_equal(part, wanted[50:80, 80:100])


def test_files_that_say_nothing_about_the_place(tmp_path: Path) -> None:
    grid = reference_grid(place(tmp_path)['t1'])
    for text, words in ((collection({'type': 'Point', 'coordinates': [1, 2]}), 'no polygon'), ('{', 'GeoJSON'),
                        (collection(polygon(30, 20, 90, 60)), 'no polygon touches')):  # metres, read as degrees
        path = tmp_path / 'a.geojson'
        path.write_text(text)
        with pytest.raises(ValueError, match=words):
            AreaOfInterest(str(path), grid)
