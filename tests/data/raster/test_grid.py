"""Which rasters are one pair, and how another one is brought onto the grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

rasterio = pytest.importorskip('rasterio')

from imbdense.data.raster.grid import GridMismatch  # noqa: E402
from imbdense.data.raster.reader import RasterStack  # noqa: E402
from tests.helpers.raster_scene import TRANSFORM, scene, write_raster  # noqa: E402


def moved(columns: float = 0.0, rows: float = 0.0) -> rasterio.transform.Affine:
    """The grid of the helper, shifted by pixels."""
    a, b, x, d, e, y = TRANSFORM
    return rasterio.transform.Affine(a, b, x + a * columns, d, e, y + e * rows)


def first(folder: Path) -> str:
    return write_raster(folder / 'one.tif', scene(60, 80))


@pytest.mark.parametrize(('changes', 'said'), [
    ({'transform': moved(0.4)}, 'up to 0.4 pixels apart'),
    ({'crs': 'EPSG:32634'}, 'differ in coordinate system'),
    ({'crs': None}, 'cannot be compared'),
])  # fmt: skip
def test_other_grids_are_refused_with_both_printed(tmp_path: Path, changes: dict, said: str) -> None:
    two = write_raster(tmp_path / 'two.tif', scene(60, 80), **changes)
    with pytest.raises(GridMismatch, match=said) as error:
        RasterStack([first(tmp_path), two])
    assert 'one.tif: 60 x 80' in str(error.value) and 'two.tif: 60 x 80' in str(error.value)
    cure = 'edit-info' if changes.get('crs', 'EPSG:32633') is None else '--align'
    assert cure in str(error.value) and len({'edit-info', '--align'} & set(str(error.value).split())) < 2


def test_other_size_is_refused_and_a_thousandth_of_a_pixel_is_not(tmp_path: Path) -> None:
    with pytest.raises(GridMismatch, match='differ in size'):
        RasterStack([first(tmp_path), write_raster(tmp_path / 'two.tif', scene(61, 80))])
    near = write_raster(tmp_path / 'near.tif', scene(60, 80), transform=moved(0.0005))
    assert RasterStack([first(tmp_path), near]).channels == 6


def test_align_moves_by_whole_pixels_exactly(tmp_path: Path) -> None:
    """Date 2 begins 16 columns and 8 rows later: inside the values are the same, outside there are no data."""
    values = scene(60, 80)
    two = write_raster(tmp_path / 'two.tif', values[:, 8:, 16:].copy(), transform=moved(16, 8))
    stack = RasterStack([write_raster(tmp_path / 'one.tif', values), two], align=True)
    found, valid = stack.read(0, 60, 0, 80)
    assert valid[8:, 16:].all() and not valid[:8].any() and not valid[:, :16].any()
    assert np.array_equal(found[3:, 8:, 16:], values[:, 8:, 16:])


def test_align_resamples_another_system(tmp_path: Path) -> None:
    """A smooth ramp seen in the neighbouring UTM zone lands within a few values of itself."""
    from rasterio.warp import Resampling, calculate_default_transform, reproject

    ramp = (np.add.outer(np.arange(60), np.arange(80)) + 10).astype(np.float32)[None]
    affine = rasterio.transform.Affine(*TRANSFORM)
    bounds = rasterio.transform.array_bounds(60, 80, affine)
    target, width, height = calculate_default_transform('EPSG:32633', 'EPSG:32634', 80, 60, *bounds)
    warped = np.zeros((1, height, width), np.float32)
    reproject(ramp, warped, src_transform=affine, src_crs='EPSG:32633', dst_transform=target, dst_crs='EPSG:32634',
              resampling=Resampling.bilinear)
    one = write_raster(tmp_path / 'one.tif', ramp)
    two = write_raster(tmp_path / 'two.tif', warped, transform=target, crs='EPSG:32634')
    found, valid = RasterStack([one, two], align=True).read(0, 60, 0, 80)
    assert valid[10:-10, 10:-10].all()
    assert np.abs(found[0] - found[1])[10:-10, 10:-10].max() < 2


def test_align_without_overlap_or_system(tmp_path: Path) -> None:
    far = write_raster(tmp_path / 'far.tif', scene(60, 80), transform=moved(500))
    with pytest.raises(GridMismatch, match='does not overlap'):
        RasterStack([first(tmp_path), far], align=True)
    plain = write_raster(tmp_path / 'plain.tif', scene(60, 80), crs=None)
    with pytest.raises(GridMismatch, match='need a coordinate system') as error:
        RasterStack([first(tmp_path), plain], align=True)
    assert 'to the reference 60 x 80, EPSG:32633, geotransform (2.0, ' in str(error.value)
    assert 'from_wkt' not in str(error.value)


def test_align_turns_a_date_that_is_stored_from_south_to_north(tmp_path: Path) -> None:
    values = scene(60, 80)
    a, b, x, d, e, y = TRANSFORM
    turned = rasterio.transform.Affine(a, b, x, d, -e, y + 60 * e)
    two = write_raster(tmp_path / 'two.tif', values[:, ::-1].copy(), transform=turned)
    found, valid = RasterStack([write_raster(tmp_path / 'one.tif', values), two], align=True).read(0, 60, 0, 80)
    assert valid.all() and np.array_equal(found[:3], found[3:])
