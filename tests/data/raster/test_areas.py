"""Areas on the ground, and reference points read from a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

rasterio = pytest.importorskip('rasterio')

from imbdense.data.raster.areas import area_table, read_points, row_areas, sample_table  # noqa: E402
from imbdense.data.raster.grid import Grid  # noqa: E402
from tests.helpers.raster_scene import TRANSFORM, write_raster  # noqa: E402

CLASSES = ['rock', 'water']


def label(folder: Path, **changes: object) -> Path:
    """600 x 500 pixels of 2 m x 3 m: 100 rows of water, a hole of 10 x 10, rock."""
    values = np.zeros((1, 600, 500), np.uint8)
    values[0, :100], values[0, 200:210, 200:210] = 1, 255
    return Path(write_raster(folder / 'label.tif', values, nodata=255, **changes))


def test_pixels_times_their_size(tmp_path: Path) -> None:
    table = area_table(label(tmp_path), CLASSES)
    assert table['nodata_pixels'] == 100
    assert [row['pixels'] for row in table['classes']] == [249_900, 50_000]
    assert [row['hectares'] for row in table['classes']] == pytest.approx([149.94, 30.0])
    feet = area_table(label(tmp_path, crs='EPSG:2263'), CLASSES)  # US survey feet
    assert feet['classes'][1]['hectares'] == pytest.approx(30.0 * 0.3048006**2)


def test_no_coordinate_system_no_hectares(tmp_path: Path) -> None:
    assert area_table(label(tmp_path, crs=None), CLASSES)['classes'][0]['hectares'] is None


def test_degrees_lie_on_the_ellipsoid(tmp_path: Path) -> None:
    """All rows of the world are 5.1006562e14 m²; a row at 60° is about half of one at the equator."""
    world = Grid(rasterio.crs.CRS.from_epsg(4326), rasterio.transform.Affine(1, 0, -180, 0, -1, 90), 180, 360)
    areas = row_areas(world)
    assert areas.sum() * 360 == pytest.approx(510_065_621_724_000, rel=1e-9)
    assert areas[30] / areas[90] == pytest.approx(0.5, abs=0.02)
    path = label(tmp_path, crs='EPSG:4326', transform=rasterio.transform.Affine(0.01, 0, 10, 0, -0.01, 60))
    rows = row_areas(Grid(rasterio.crs.CRS.from_epsg(4326), rasterio.open(path).transform, 600, 500))
    assert area_table(path, CLASSES)['classes'][1]['hectares'] == pytest.approx(rows[:100].sum() * 500 / 1e4)


def test_reference_points_give_estimates(tmp_path: Path) -> None:
    """Rows 0 to 99 are water. Points by name and by index; one outside and one on the hole are left out."""
    west, north = TRANSFORM[2], TRANSFORM[5]
    place = {'water': (30, 10), 'rock': (30, 300), 'hole': (205, 205), 'outside': (-5, 5)}
    lines = ['x,y,class'] + [
        f'{west + 2 * (place[where][0] + 0.5)},{north - 3 * (place[where][1] + 0.5)},{known}'
        for where, known in [('water', 'water')] * 3 + [('water', 'rock')] + [('rock', '0')] * 4 + [('hole', 'rock')]
        + [('outside', 'rock')]
    ]
    (tmp_path / 'points.csv').write_text('\n'.join(lines) + '\n')
    path = label(tmp_path)
    points = read_points(tmp_path / 'points.csv', CLASSES)
    assert sample_table(path, CLASSES, points).tolist() == [[4, 0], [1, 3]]
    table = area_table(path, CLASSES, tmp_path / 'points.csv')
    rows = table['classes']
    assert table['points_elsewhere'] == 2 and [row['points_on_map_class'] for row in rows] == [4, 4]
    assert rows[1]['estimated_share'] == pytest.approx(50_000 / 299_900 * 0.75)
    assert rows[1]['estimated_hectares'] == pytest.approx(30 * 0.75)
    assert rows[1]['estimated_low'] < rows[1]['estimated_share'] < rows[1]['estimated_high']


def test_wrong_points_are_named(tmp_path: Path) -> None:
    points = tmp_path / 'points.csv'
    points.write_text('x,y,class\n1,2,lava\n')
    with pytest.raises(ValueError, match=r'points\.csv, line 2'):
        read_points(points, CLASSES)
    points.write_text('x,y,class\n1,nan,rock\n')
    with pytest.raises(ValueError, match=r'points\.csv, line 2'):
        read_points(points, CLASSES)
    points.write_text('lon,lat\n')
    with pytest.raises(ValueError, match='needs the columns x, y and class'):
        read_points(points, CLASSES)
    with pytest.raises(ValueError, match=r'nowhere\.csv cannot be read as a table of reference points'):
        read_points(tmp_path / 'nowhere.csv', CLASSES)


def test_a_turned_grid_in_degrees_has_no_area_by_row() -> None:
    turned = rasterio.transform.Affine(0.01, 0.005, 10, 0.005, -0.01, 60)
    assert row_areas(Grid(rasterio.crs.CRS.from_epsg(4326), turned, 600, 500)) is None
    metres = row_areas(Grid(rasterio.crs.CRS.from_epsg(32633), rasterio.transform.Affine(3, 4, 0, 4, -3, 0), 2, 2))
    assert metres is not None and metres.tolist() == [25.0, 25.0]
