"""Loading pairs: formats, bands, nodata, and files that are broken or do not fit."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('mmseg')

from imbdense.data.readers import LabelReadError
from imbdense.data.readers.labels import LabelFormat
from imbdense.registry import TRANSFORMS
from tests.data.change.pair_files import land_covers, picture, write_array, write_raster


def load(record, **options):
    return TRANSFORMS.build({'type': 'imbdense.LoadChangePair', **options})(dict(record))


@pytest.fixture
def record(tmp_path):
    """A pair of PNGs with all its labels."""
    t1, t2, change = land_covers(0)
    files = {
        'img_path_from': write_array(tmp_path / 'a.png', picture(t1, 1)),
        'img_path_to': write_array(tmp_path / 'b.png', picture(t2, 2)),
        'seg_map_path': write_array(tmp_path / 'change.png', change),
    }
    covers = [str(write_array(tmp_path / f'cover{date}.png', label)) for date, label in enumerate((t1, t2))]
    return {
        **{key: str(path) for key, path in files.items()},
        'img_path': str(files['img_path_from']),
        'land_cover_paths': covers,
        'change_format': LabelFormat.of(('unchanged', 'changed')),
        'land_cover_format': LabelFormat.of(('a', 'b', 'c', 'd')),
        'seg_fields': [],
    }


def rasters(tmp_path, record, bands=6, dtype=np.uint8, **options):
    """The same record with two GeoTIFFs."""
    rng = np.random.default_rng(0)
    values = [rng.integers(1, 200, (24, 32, bands)).astype(dtype) for _ in range(2)]
    paths = [str(write_raster(tmp_path / f'{n}.tif', v, **options)) for n, v in zip('ab', values)]
    return {**record, 'img_path': paths[0], 'img_path_from': paths[0], 'img_path_to': paths[1]}, values


def test_bytes_of_png_as_the_host_loads_them(record):
    from mmcv.transforms import LoadImageFromFile

    found = load(record)
    for date, key in enumerate(('img_path_from', 'img_path_to')):
        host = LoadImageFromFile()({'img_path': record[key]})['img']
        assert np.array_equal(found['img'][..., 3 * date : 3 * date + 3], host)
    assert found['num_dates'] == 2 and found['img_shape'] == found['ori_shape'] == (24, 32)
    assert found['seg_fields'] == ['gt_seg_map', 'gt_seg_map_t1', 'gt_seg_map_t2']


def test_areas_need_a_projected_grid(tmp_path, record):
    from rasterio import Affine

    sample, _ = rasters(tmp_path, record, crs='EPSG:2263', transform=Affine(3, 0, 900, 0, -2, 800))  # in US feet
    foot = 1200 / 3937
    expected = [foot * term for term in (3, 0, 900, 0, -2, 800)]
    assert load(sample)['transform'] == pytest.approx(expected, rel=1e-9)
    sample, _ = rasters(tmp_path, record, crs='EPSG:4326', transform=Affine(1e-4, 0, 9, 0, -1e-4, 47))
    assert load(sample)['transform'] is None and load(record)['transform'] is None


def test_rasters_of_many_bands(tmp_path, record):
    sample, values = rasters(tmp_path, record)
    assert np.array_equal(load(sample)['img'], np.concatenate(values, axis=2)) and load(sample)['img'].dtype == np.uint8
    chosen = load(sample, bands=[4, 1])['img']
    assert np.array_equal(chosen, np.concatenate([v[..., [3, 0]] for v in values], axis=2))
    scaled = load(sample, value_range=[(0, 100)] * 5 + [(100, 200)])['img']
    assert scaled.dtype == np.float32 and np.allclose(scaled[..., 5], (values[0][..., 5] - 100.0) * 2.55, atol=1e-3)


def test_three_band_raster_equals_png(tmp_path, record):
    sample, values = rasters(tmp_path, record, bands=3)
    pngs = [str(write_array(tmp_path / f'{n}3.png', v)) for n, v in zip('ab', values)]
    plain = load({**record, 'img_path_from': pngs[0], 'img_path_to': pngs[1]})
    assert np.array_equal(load(sample)['img'], plain['img'])


def test_sixteen_bits_become_floats(tmp_path, record):
    sample, values = rasters(tmp_path, record, dtype=np.uint16)
    assert load(sample)['img'].dtype == np.float32 and np.array_equal(load(sample)['img'][..., :6], values[0])


def test_nodata_is_ignored_in_the_change_map_and_at_its_date(tmp_path, record):
    sample, values = rasters(tmp_path, record, nodata=0)
    values[1][5:9, 3:7, 2] = 0
    write_raster(tmp_path / 'b.tif', values[1], nodata=0)
    found, before = load(sample, nodata_fill=-5.0, value_range=(0, 255)), load(record)
    hole = np.zeros((24, 32), bool)
    hole[5:9, 3:7] = True
    assert (found['gt_seg_map'][hole] == 255).all() and (found['gt_seg_map_t2'][hole] == 255).all()
    assert np.array_equal(found['gt_seg_map_t1'], before['gt_seg_map_t1'])
    assert np.array_equal(found['gt_seg_map'][~hole], before['gt_seg_map'][~hole])
    assert (found['img'][hole][:, 6:] == -5).all() and (found['img'][hole][:, :6] > 0).all()
    assert np.array_equal(found['nodata'], hole) and before['nodata'] is None


def test_labels_after_a_resize(record):
    record = dict(record)
    sample = load(record, with_labels=False)
    assert 'gt_seg_map' not in sample
    sample['img'], sample['img_shape'] = sample['img'][:12, :16], (12, 16)
    found = TRANSFORMS.build({'type': 'imbdense.LoadChangeLabels'})(sample)
    assert found['gt_seg_map'].shape == (24, 32)


@pytest.mark.parametrize('suffix', ['png', 'jpg', 'tif'])
def test_a_file_that_is_cut_off_is_named(tmp_path, record, suffix):
    path = tmp_path / f'cut.{suffix}'
    values = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    if suffix == 'tif':
        write_raster(path, values)
    else:
        write_array(path, values)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises((LabelReadError, OSError), match=f'cut.{suffix}'):
        load({**record, 'img_path_to': str(path)})


def test_dates_that_do_not_fit_are_both_named(tmp_path, record):
    other = write_array(tmp_path / 'small.png', np.zeros((24, 30, 3), np.uint8))
    with pytest.raises(ValueError, match=r'a\.png and .*small\.png.*24 x 32 x 3 and 24 x 30 x 3'):
        load({**record, 'img_path_to': str(other)})
    sample, values = rasters(tmp_path, record)
    write_raster(tmp_path / 'b.tif', values[1][..., :5])
    with pytest.raises(ValueError, match=r'a\.tif and .*b\.tif.*32 x 6 and 24 x 32 x 5'):
        load(sample)
    with pytest.raises(ValueError, match=r'b\.tif: bands \[6\] are not there'):
        load(sample, bands=[1, 6])
    from rasterio.transform import from_origin

    write_raster(tmp_path / 'b.tif', values[1], transform=from_origin(1010, 2000, 10, 10))
    with pytest.raises(ValueError, match=r'a\.tif and .*b\.tif lie on different grids'):
        load(sample)


@pytest.mark.parametrize('key', ['seg_map_path', 'cover'])
def test_labels_that_do_not_fit(tmp_path, record, key):
    path = str(write_array(tmp_path / 'other.png', np.zeros((24, 30), np.uint8)))
    covers = record['land_cover_paths'][:1] + [path]
    wrong = {'land_cover_paths': covers} if key == 'cover' else {key: path}
    with pytest.raises(LabelReadError, match=r'other\.png: is 24 x 30 .*a\.png is 24 x 32'):
        load({**record, **wrong})


def test_what_is_missing_is_named(tmp_path, record):
    with pytest.raises(LabelReadError, match=r'gone\.png: cannot be opened'):
        load({**record, 'img_path_to': str(tmp_path / 'gone.png')})
    with pytest.raises(ValueError, match='img_path_to'):
        load({**record, 'img_path_to': None})
    with pytest.raises(ValueError, match='change_format'):
        load({**record, 'change_format': None})
    with pytest.raises(LabelReadError, match='no TIFF'):
        load(record, bands=[1, 2])


def test_an_ignored_tile_and_one_without_change(tmp_path, record):
    for value in (0, 255):
        path = str(write_array(tmp_path / f'{value}.png', np.full((24, 32), value, np.uint8)))
        assert (load({**record, 'seg_map_path': path})['gt_seg_map'] == value).all()


def test_a_label_raster_of_another_place(tmp_path, record):
    from rasterio.transform import from_origin

    record, _ = rasters(tmp_path, record)
    label, place = np.zeros((24, 32, 1), np.uint8), from_origin(1060, 2000, 10, 10)
    path = write_raster(tmp_path / 'change.tif', label, transform=place)
    with pytest.raises(ValueError, match=r'a\.tif and .*change\.tif lie on different grids.*Warp the label'):
        load({**record, 'seg_map_path': str(path)})


def test_dates_of_another_place_are_not_called_labels(tmp_path, record):
    record, values = rasters(tmp_path, record)
    write_raster(tmp_path / 'b.tif', values[1], crs='EPSG:32650')
    with pytest.raises(ValueError, match=r'differ in coordinate system.*Warp one date onto the other') as error:
        load(record)
    assert 'label' not in str(error.value)
