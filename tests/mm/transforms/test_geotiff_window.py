"""LoadGeoTiffWindow: real and generated rasters, alignment, nodata, mismatches, broken files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from imbdense.data.geotiff import aligned_offsets, open_raster, read_window
from imbdense.registry import TRANSFORMS
from tests.helpers.shared_data import shared_data_dir


def build(**options):
    return TRANSFORMS.build({'type': 'imbdense.LoadGeoTiffWindow', **options})


def write(path: Path, values: np.ndarray, *, block: int | None = 32, origin=(500000.0, 4000000.0), crs=32616, **more):
    """Write (B, H, W) as a GeoTIFF, tiled by ``block``."""
    tiling = {'tiled': True, 'blockxsize': block, 'blockysize': block} if block else {}
    with rasterio.open(
        path, 'w', driver='GTiff', height=values.shape[1], width=values.shape[2], count=values.shape[0],
        dtype=values.dtype, crs=f'EPSG:{crs}', transform=from_origin(*origin, 0.5, 0.5), **tiling, **more,
    ) as target:
        target.write(values)
    return str(path)


@pytest.fixture
def pair(tmp_path):
    """A four-band image whose first two bands hold row and column, and a label that is their parity."""
    rows, columns = np.indices((100, 130))
    image = np.stack([rows, columns, rows * 0 + 7, rows * 0 + 9]).astype(np.uint16)
    label = ((rows + columns) % 2).astype(np.uint8)[None]
    return {'img_path': write(tmp_path / 'a.tif', image), 'seg_map_path': write(tmp_path / 'a_label.tif', label)}


def test_window_bands_and_label_are_the_same_pixels(pair):
    np.random.seed(0)
    load = build(window_size=(40, 50), bands=[2, 1, 4])
    starts = set()
    for _ in range(60):
        out = load(dict(pair, seg_fields=[]))
        row, column, height, width = out['window']
        starts.add((row, column))
        assert out['img'].dtype == np.float32 and out['img'].shape == (40, 50, 3) == (height, width, 3)
        assert out['img'][0, 0].tolist() == [column, row, 9]
        assert out['img'][-1, -1].tolist() == [column + 49, row + 39, 9]
        assert (out['gt_seg_map'] == (out['img'][..., 0] + out['img'][..., 1]) % 2).all()
        assert out['seg_fields'] == ['gt_seg_map'] and out['ori_shape'] == out['img_shape'] == (40, 50)
    assert {row for row, _ in starts} == {0, 32, 60}, 'block borders, and the last fit'
    assert {column for _, column in starts} == {0, 32, 64, 80}


def test_given_window_whole_raster_and_unaligned(pair):
    given = build()(dict(pair, window=(3, 5, 10, 20)))
    assert given['img'][0, 0].tolist()[:2] == [3, 5] and given['img'].shape == (10, 20, 4)
    assert build()(dict(pair))['img'].shape == (100, 130, 4)
    assert build(window_size=500)(dict(pair))['img'].shape == (100, 130, 4), 'clipped to the raster'
    free = build(window_size=16, align=False)
    assert len({free(dict(pair))['window'][0] % 32 for _ in range(40)}) > 5
    with pytest.raises(ValueError, match=r'a\.tif: window .* outside'):
        build()(dict(pair, window=(90, 0, 20, 20)))


def test_aligned_offsets_cover_both_ends():
    assert aligned_offsets(100, 40, 32).tolist() == [0, 32, 60]
    assert aligned_offsets(64, 32, 32).tolist() == [0, 32]
    assert aligned_offsets(30, 40, 32).tolist() == [0]


def test_nodata_and_not_a_number_become_ignore(tmp_path):
    image = np.ones((2, 8, 8), np.float64)
    image[0, 0, 0], image[1, 0, 1] = -9999, np.nan
    label = np.zeros((1, 8, 8), np.uint8)
    label[0, 7, 7] = 200
    out = build(nodata_fill=-1, value_range=(0, 2))({
        'img_path': write(tmp_path / 'i.tif', image, block=None, nodata=-9999),
        'seg_map_path': write(tmp_path / 'l.tif', label, block=None, nodata=200),
    })
    assert out['gt_seg_map'][0, :3].tolist() == [255, 255, 0] and out['gt_seg_map'][7, 7] == 255
    assert (out['img'][0, :2] == -1).all() and np.allclose(out['img'][2:], 127.5) and np.isfinite(out['img']).all()


def test_value_range_per_band(pair):
    out = build(value_range=[(0, 100), (0, 200), (0, 7), (9, 19)], window_size=None)(dict(pair))
    assert np.allclose(out['img'][50, 100], [127.5, 127.5, 255, 0])
    with pytest.raises(ValueError, match='2 pairs for 4 bands'):
        build(value_range=[(0, 1), (0, 1)])(dict(pair))
    with pytest.raises(ValueError, match='low < high'):
        build(value_range=(5, 5))


def test_label_map_and_reduce_zero_label_act_as_in_the_host(tmp_path, pair):
    label = np.array([[[0, 1, 2, 255] * 8] * 32], np.uint8)
    image = np.zeros((1, 32, 32), np.uint8)
    record = {'img_path': write(tmp_path / 'i.tif', image), 'seg_map_path': write(tmp_path / 'l.tif', label)}
    assert build()(dict(record, reduce_zero_label=True))['gt_seg_map'][0, :4].tolist() == [255, 0, 1, 255]
    assert build()(dict(record, label_map={0: 1, 1: 0, 2: 255}))['gt_seg_map'][0, :4].tolist() == [1, 0, 255, 255]


@pytest.mark.parametrize('change, words', [
    ({'origin': (500000.5, 4000000.0)}, 'different grids'),
    ({'crs': 32617}, 'coordinate system'),
])
def test_other_grid_is_refused_naming_both_files(tmp_path, change, words):
    image = write(tmp_path / 'image.tif', np.zeros((1, 32, 32), np.uint8))
    label = write(tmp_path / 'label.tif', np.zeros((1, 32, 32), np.uint8), **change)
    with pytest.raises(ValueError, match=words) as caught:
        build()({'img_path': image, 'seg_map_path': label})
    assert image in str(caught.value) and label in str(caught.value) and 'rio warp' in str(caught.value)


def test_other_size_and_colour_label_are_refused(tmp_path):
    image = write(tmp_path / 'image.tif', np.zeros((1, 32, 32), np.uint8))
    small = write(tmp_path / 'small.tif', np.zeros((1, 32, 16), np.uint8), block=16)
    with pytest.raises(ValueError, match='differ in size'):
        build()({'img_path': image, 'seg_map_path': small})
    colours = write(tmp_path / 'colours.tif', np.zeros((3, 32, 32), np.uint8))
    with pytest.raises(ValueError, match='one band of class indices'):
        build()({'img_path': image, 'seg_map_path': colours})
    with pytest.raises(ValueError, match=r'image\.tif: bands \[3\] are not there'):
        build(bands=[1, 3])({'img_path': image})


def test_truncated_missing_and_foreign_files_are_named(tmp_path):
    values = np.random.default_rng(0).integers(0, 9000, (1, 256, 256)).astype(np.uint16)
    path = Path(write(tmp_path / 'cut.tif', values, block=64, compress='deflate'))
    path.write_bytes(path.read_bytes()[:-40000])
    with pytest.raises(OSError, match=r'cut\.tif: cannot be read'):
        build()({'img_path': str(path)})
    with pytest.raises(OSError, match=r'gone\.tif'):
        build()({'img_path': str(tmp_path / 'gone.tif')})
    text = tmp_path / 'text.tif'
    text.write_text('no raster')
    with pytest.raises(OSError, match=r'text\.tif'):
        build()({'img_path': str(text)})


def test_seed_of_the_host_decides(pair):
    load = build(window_size=32)

    def run():
        np.random.seed(5)
        return [load(dict(pair))['window'] for _ in range(8)]

    assert run() == run()


def test_real_uint16_image_with_png_mask():
    folder = shared_data_dir('spacenet_georef')
    record = {
        'img_path': str(folder / 'atlanta_pan_uint16.tif'),
        'seg_map_path': str(folder / 'atlanta_buildings_mask.png'),
    }
    whole = build()(dict(record))
    assert whole['img'].shape == (900, 900, 1) and whole['img'].max() > 255
    assert (whole['gt_seg_map'] == 1).mean() == pytest.approx(0.0418, abs=0.0005)
    np.random.seed(1)
    part = build(window_size=256)(dict(record))
    row, column, height, width = part['window']
    assert (part['img'] == whole['img'][row : row + height, column : column + width]).all()
    assert (part['gt_seg_map'] == whole['gt_seg_map'][row : row + height, column : column + width]).all()


def test_real_float64_four_bands():
    path = shared_data_dir('spacenet_georef', 'multispectral_float64_1.tif')
    out = build(bands=[3, 2, 1], window_size=128)({'img_path': str(path)})
    assert out['img'].shape == (128, 128, 3) and out['img'].dtype == np.float32
    with open_raster(path) as source:
        row, column, height, width = out['window']
        values, valid = read_window(source, (row, column, height, width), [3, 2, 1])
    assert np.allclose(out['img'][valid], values[valid].astype(np.float32))
