from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imbdense.core.terrain import derive
from imbdense.data.raster.band_stack import BandStack, pixel_metres
from imbdense.data.raster.grid import Grid, GridMismatch
from imbdense.data.raster.sources import Source, reference_grid
from tests.data.raster.places import place, sources, write

rasterio = pytest.importorskip('rasterio')
WHOLE = (0, 0, 120, 160)


def stack(folder: Path, configs: list[dict[str, Any]] | None = None) -> BandStack:
    """The bands of the made-up place."""
    files = place(folder)
    return BandStack([Source.of(item) for item in configs or sources(files)], reference_grid(files['t1']))


def test_bands_their_kinds_and_roles(tmp_path: Path) -> None:
    bands = stack(tmp_path).bands
    assert [band.name for band in bands] == ['img_1', 'img_2', 'img_3', 'img_4', 'dtm', 'dtm_slope', 'dtm_eastness',
                                             'dtm_northness', 'dtm_tpi@5', 'ndsm']
    assert [band.role for band in bands] == ['red', 'green', 'blue', 'nir', None, None, 'east', 'north', None, None]
    assert [band.kind for band in bands] == ['image'] * 4 + ['elevation'] + ['terrain'] * 4 + ['index']


def test_values_formula_clip_and_validity(tmp_path: Path) -> None:
    whole, valid = stack(tmp_path).read(WHOLE)
    files = {name: rasterio.open(tmp_path / f'{name}.tif').read() for name in ('t1', 'dsm', 'dtm')}
    hole = files['dsm'][0] == -9999
    assert np.array_equal(valid, ~hole) and hole.sum() == 150 and not whole[hole].any()
    assert np.array_equal(whole[valid][:, :4], files['t1'].transpose(1, 2, 0)[valid])
    assert np.allclose(whole[valid][:, 9], np.clip(files['dsm'][0] - files['dtm'][0], -1, 60)[valid])
    slopes = derive(files['dtm'][0], ['slope'], (2.0, 2.0))[0]
    assert np.array_equal(whole[..., 5][valid], slopes[valid])


def test_windows_are_pieces_of_the_whole(tmp_path: Path) -> None:
    bands = stack(tmp_path)
    whole, valid = bands.read(WHOLE)
    for window in ((0, 0, 40, 50), (55, 95, 30, 30), (100, 140, 20, 20), (17, 3, 1, 1)):
        row, column, height, width = window
        part, known = bands.read(window)
        inside = (slice(row, row + height), slice(column, column + width))
        assert np.array_equal(part, whole[inside]) and np.array_equal(known, valid[inside])


def test_other_grids_are_resampled_and_labels_of_offsets_are_not_truncated(tmp_path: Path) -> None:
    files = place(tmp_path)
    ramp = np.tile(np.arange(200, dtype=np.float32), (200, 1))
    shifted = write(tmp_path / 'shifted.tif', ramp, offset=(-10.5, -10))
    configs = [{'key': 'img', 'path': files['t1']}, {'key': 'ramp', 'path': shifted, 'kind': 'elevation'}]
    values, _ = stack(tmp_path, configs).read(WHOLE)
    assert np.allclose(values[50, 20:60, 4], np.arange(20, 60) + 10.5, atol=0.02)


def test_scale_and_offset_of_the_file_are_applied(tmp_path: Path) -> None:
    files = place(tmp_path)
    path = write(tmp_path / 'scaled.tif', np.full((120, 160), 250, np.int16), nodata=-1)
    with rasterio.open(path, 'r+') as target:
        target.scales, target.offsets = (0.1,), (5.0,)
    values, _ = stack(tmp_path, [{'key': 'a', 'path': path, 'kind': 'index'}, {'key': 'b', 'path': files['t1']}]
                      ).read((0, 0, 2, 2))
    assert np.allclose(values[..., 0], 30.0)


def test_handles_are_opened_again_after_pickling(tmp_path: Path) -> None:
    bands = stack(tmp_path)
    first = bands.read((5, 5, 20, 20))[0]
    again = pickle.loads(pickle.dumps(bands))
    assert again.rasters['img']._handle is None
    assert np.array_equal(again.read((5, 5, 20, 20))[0], first)


@pytest.mark.parametrize(('options', 'words'), [
    ({'crs': None}, 'no coordinate system'), ({'rotation': 0.3}, 'rotated'),
    ({'offset': (9000, 0)}, 'does not overlap'),
])
def test_files_off_the_grid_are_named(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    files = place(tmp_path)
    path = write(tmp_path / 'odd.tif', np.zeros((50, 50), np.float32), **options)
    with pytest.raises(GridMismatch, match=words) as caught:
        stack(tmp_path, [{'key': 'img', 'path': files['t1']}, {'key': 'odd', 'path': path, 'kind': 'index'}]
              ).read(WHOLE)
    assert 'odd.tif' in str(caught.value) and ('32633' in str(caught.value) or 'crs' in options)


@pytest.mark.parametrize(('change', 'words'), [
    ({'expr': 'dtm - dsm', 'key': 'img'}, 'key'), ({'expr': 'dtm - nothing'}, 'nothing'),
    ({'expr': 'img + dtm'}, '4 bands'), ({'expr': None, 'path': None}, 'path or expr'),
    ({'derive': ['slope']}, 'elevation'), ({'clip': (3, 1)}, 'clip'),
    ({'kind': 'aspect'}, 'kind'), ({'colour': 1}, 'colour'),
])
def test_configs_that_make_no_sense_are_explained(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    configs = sources(place(tmp_path))
    configs[3] |= change
    with pytest.raises(ValueError, match=words):
        stack(tmp_path, configs)


def test_degrees_become_metres_at_their_latitude() -> None:
    from rasterio import Affine
    from rasterio.crs import CRS

    grid = Grid(CRS.from_epsg(4326), Affine(0.01, 0, 10, 0, -0.01, 60.005), 1, 1)
    x, y = pixel_metres(grid, 0, 1)
    assert x[0] == pytest.approx(557.99, abs=0.05) and y[0] == pytest.approx(1114.12, abs=0.1)  # 60° north, WGS 84
    feet = Grid(CRS.from_epsg(2225), Affine(10, 0, 0, 0, -10, 0), 1, 1)
    assert pixel_metres(feet, 0, 1)[0] == pytest.approx(3.048, rel=1e-4)


def test_another_resolution_covers_the_same_place(tmp_path: Path) -> None:
    files = place(tmp_path)
    coarse = reference_grid(files['t1'], 4.0)
    assert (coarse.height, coarse.width, coarse.transform.a) == (60, 80, 4.0)
    values, valid = BandStack([Source.of(item) for item in sources(files)], coarse).read((0, 0, 60, 80))
    assert values.shape == (60, 80, 10) and 0.97 < valid.mean() < 1.0
