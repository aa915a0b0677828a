"""Polygons of a map: whole across block borders, with holes, in a GeoPackage that says where it lies."""

from __future__ import annotations

import sqlite3
import struct
from pathlib import Path

import numpy as np
import pytest

rasterio = pytest.importorskip('rasterio')

from imbdense.data.raster.areas import area_table  # noqa: E402
from imbdense.data.raster.polygons import write_polygons  # noqa: E402
from imbdense.utils.files import FileWriteError  # noqa: E402
from tests.helpers.raster_scene import TRANSFORM, write_raster  # noqa: E402


def features(path: Path) -> list[tuple[int, str, float, list[list[tuple[float, float]]]]]:
    """(class, name, area, rings) of every polygon, decoded by hand."""
    found = []
    base = sqlite3.connect(path)
    for blob, value, name, area in base.execute('SELECT geom, class, name, area FROM label ORDER BY fid'):
        assert blob[:4] == b'GP\x00\x03' and struct.unpack('<i', blob[4:8])[0] == 32633
        kind, count = struct.unpack('<II', blob[41:49])
        assert kind == 3
        rings, place = [], 49
        for _ in range(count):
            (points,) = struct.unpack('<I', blob[place : place + 4])
            flat = struct.unpack(f'<{2 * points}d', blob[place + 4 : place + 4 + 16 * points])
            rings.append(list(zip(flat[::2], flat[1::2])))
            place += 4 + 16 * points
        found.append((value, name, area, rings))
    base.close()
    return found


def test_region_across_blocks_with_a_hole(tmp_path: Path) -> None:
    values = np.zeros((1, 300, 300), np.uint8)
    values[0, 100:200, 50:250] = 1  # crosses the blocks of 128
    values[0, 120:130, 120:130] = 2
    values[0, 0, 0] = 255
    path = Path(write_raster(tmp_path / 'label.tif', values, nodata=255))
    assert write_polygons(path, tmp_path / 'label.gpkg', ['none', 'road', 'house'], leave_out={0}) == 2
    by_class = {value: (name, area, rings) for value, name, area, rings in features(tmp_path / 'label.gpkg')}
    assert by_class[1][:2] == ('road', (100 * 200 - 100) * 6) and len(by_class[1][2]) == 2
    assert by_class[2][:2] == ('house', 600)
    xs, ys = zip(*by_class[1][2][0])
    west, north = TRANSFORM[2], TRANSFORM[5]
    assert (min(xs), max(xs)) == (west + 100, west + 500) and (min(ys), max(ys)) == (north - 600, north - 300)


def test_tables_of_the_standard(tmp_path: Path) -> None:
    path = Path(write_raster(tmp_path / 'label.tif', np.ones((1, 20, 30), np.uint8), nodata=255))
    write_polygons(path, tmp_path / 'label.gpkg', ['none', 'road'])
    base = sqlite3.connect(tmp_path / 'label.gpkg')
    assert base.execute('PRAGMA application_id').fetchone()[0] == 0x47504B47
    assert base.execute('SELECT table_name, data_type, srs_id, min_x, max_x FROM gpkg_contents').fetchall() == [
        ('label', 'features', 32633, TRANSFORM[2], TRANSFORM[2] + 60)
    ]
    assert base.execute('SELECT column_name, geometry_type_name FROM gpkg_geometry_columns').fetchone() == (
        'geom', 'POLYGON'
    )
    known = base.execute('SELECT definition FROM gpkg_spatial_ref_sys WHERE srs_id = 32633').fetchone()[0]
    assert 'UTM zone 33N' in known
    base.close()


def test_an_empty_map_has_an_empty_layer(tmp_path: Path) -> None:
    path = Path(write_raster(tmp_path / 'label.tif', np.full((1, 20, 30), 255, np.uint8), nodata=255))
    assert write_polygons(path, tmp_path / 'label.gpkg', ['none']) == 0
    assert features(tmp_path / 'label.gpkg') == []


def test_what_cannot_be_written_is_not_said_of_the_map(tmp_path: Path) -> None:
    label = Path(write_raster(tmp_path / 'label.tif', np.zeros((1, 40, 40), np.uint8), nodata=255))
    (tmp_path / 'label.gpkg').mkdir()
    with pytest.raises(FileWriteError, match=r'cannot write .*label\.gpkg') as error:
        write_polygons(label, tmp_path / 'label.gpkg', ['all'])
    assert 'read as a raster' not in str(error.value)


@pytest.mark.parametrize(('crs', 'transform'), [
    ('EPSG:4326', (0.01, 0, 10, 0, -0.01, 60)), ('EPSG:2263', (2, 0, 0, 0, -3, 0)), ('EPSG:32633', (3, 4, 0, 4, -3, 0)),
])  # fmt: skip
def test_polygons_have_the_square_metres_of_their_pixels(
    tmp_path: Path, crs: str, transform: tuple[float, ...]
) -> None:
    """In degrees, in feet and on a turned grid; with a hole."""
    values = np.zeros((1, 40, 30), np.uint8)
    values[0, 5:25, 5:20] = 1
    values[0, 10:12, 10:15] = 2
    label = write_raster(tmp_path / 'label.tif', values, nodata=255, crs=crs, transform=rasterio.Affine(*transform))
    write_polygons(Path(label), tmp_path / 'label.gpkg', ['a', 'b', 'c'])
    base = sqlite3.connect(tmp_path / 'label.gpkg')
    found = dict(base.execute('SELECT name, area FROM label').fetchall())
    base.close()
    hectares = {row['class']: row['hectares'] for row in area_table(Path(label), ['a', 'b', 'c'])['classes']}
    assert found == pytest.approx({name: 1e4 * value for name, value in hectares.items()}, rel=1e-9)
