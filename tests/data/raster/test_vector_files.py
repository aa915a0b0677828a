from __future__ import annotations

import sqlite3
import struct
from pathlib import Path

import pytest

from imbdense.data.raster.geopackage import write_geopackage
from imbdense.data.raster.vector_files import _well_known, read_polygons

rasterio = pytest.importorskip('rasterio')
OUTER = [(0.0, 0.0), (4.0, 0.0), (4.0, 3.0), (0.0, 3.0), (0.0, 0.0)]
HOLE = [(1.0, 1.0), (2.0, 1.0), (2.0, 2.0), (1.0, 1.0)]


def test_a_geopackage_gives_back_its_polygons_and_system(tmp_path: Path) -> None:
    path = tmp_path / 'a.gpkg'
    write_geopackage(path, 'areas', rasterio.crs.CRS.from_epsg(32633), {}, [([OUTER, HOLE], []), ([HOLE], [])])
    shapes, crs = read_polygons(path)
    assert crs == 'EPSG:32633' and [shape['type'] for shape in shapes] == ['Polygon', 'Polygon']
    assert [[tuple(point) for point in ring] for ring in shapes[0]['coordinates']] == [OUTER, HOLE]


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize(('extra', 'size'), [(0, 2), (1000, 3), (2000, 3), (3000, 4), (0x80000000, 3)])
def test_multipolygons_of_any_byte_order_and_dimension(order: str, extra: int, size: int) -> None:
    points = b''.join(struct.pack(f'{order}{size}d', *point, *([9.0] * (size - 2))) for point in HOLE)
    polygon = struct.pack(f'{order}BIII', order == '<', 3 + extra, 1, len(HOLE)) if order == '<' else \
        struct.pack('>BIII', 0, 3 + extra, 1, len(HOLE))
    blob = struct.pack(f'{order}BII', order == '<', 6 + extra, 2) + 2 * (polygon + points)
    shape, end = _well_known(blob, 0)
    assert end == len(blob) and shape['type'] == 'MultiPolygon'
    assert [tuple(point) for point in shape['coordinates'][1][0]] == HOLE


def test_files_of_other_kinds_and_damaged_ones_are_named(tmp_path: Path) -> None:
    broken, empty = tmp_path / 'broken.gpkg', tmp_path / 'empty.gpkg'
    broken.write_bytes(b'nothing')
    sqlite3.connect(empty).close()
    for path, words in ((tmp_path / 'a.shp', 'ogr2ogr'), (broken, 'GeoPackage'), (empty, 'GeoPackage'),
                        (tmp_path / 'no.geojson', 'GeoJSON')):
        with pytest.raises(ValueError, match=words) as caught:
            read_polygons(path)
        assert path.name in str(caught.value)
