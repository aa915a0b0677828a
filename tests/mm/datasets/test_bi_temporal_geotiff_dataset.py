from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imbdense.registry import DATASETS
from tests.data.raster.places import CLASSES, LUT, place, sources, write

rasterio = pytest.importorskip('rasterio')
pytest.importorskip('mmseg')


def dataset(folder: Path, files: dict[str, str] | None = None, **options: Any) -> Any:
    """Both dates of the made-up place."""
    files = files or place(folder)
    config = {
        'type': 'imbdense.BiTemporalGeoTIFFDataset', 'sources': sources(files), 'second_sources': sources(files, 't2'),
        'label': {'path': files['label'], 'nodata': 0, 'lut': LUT}, 'window': 24, 'num_windows': 60,
        'second_label': {'path': files['label2'], 'nodata': 0, 'lut': LUT}, 'metainfo': {'land_cover': CLASSES},
        'cache_dir': str(folder / 'cache'), 'pipeline': [],
    }
    return DATASETS.build(config | options)


def test_a_pair_has_both_dates_and_the_change_between_them(tmp_path: Path) -> None:
    data = dataset(tmp_path, test_mode=True, normalize='per_scene', window=(120, 160))
    item = data[0]
    assert len(data) == 1 and item['img'].shape == (120, 160, 20) and item['valid'].shape == (120, 160, 2)
    assert item['num_dates'] == 2 and item['seg_fields'] == ['gt_seg_map', 'gt_seg_map_t1', 'gt_seg_map_t2']
    first, second, change = (item[key] for key in ('gt_seg_map_t1', 'gt_seg_map_t2', 'gt_seg_map'))
    known = (first != 255) & (second != 255)
    assert np.array_equal(change[known], (first != second)[known]) and (change[~known] == 255).all()
    assert change[known].sum() == 20 * 20 and (first[:4] == 255).all() and (second[:4] != 255).any()
    with rasterio.open(tmp_path / 't2.tif') as source:
        assert np.array_equal(item['img'][100, :, 10:14], source.read()[:, 100].T)
    assert data.metainfo['classes'] == ('unchanged', 'changed')


def test_packed_samples_tell_their_place_and_pixel_size_to_the_metrics(tmp_path: Path) -> None:
    pipeline = [{'type': 'imbdense.NormalizeBands'}, {'type': 'imbdense.PackChangeInputs'}]
    sample = dataset(tmp_path, test_mode=True, normalize='per_scene', pipeline=pipeline)[7]['data_samples']
    row, column = sample.window[:2]
    assert (row, column) == (24, 0) and sample.transform == (2.0, 0.0, 400000.0, 0.0, -2.0, 5200000.0 - 48)


def test_a_change_map_of_its_own_counts(tmp_path: Path) -> None:
    files = place(tmp_path)
    change = np.zeros((120, 160), np.uint8)
    change[40:50, 40:50], change[0, 0] = 1, 255
    path = write(tmp_path / 'change.tif', change)
    item = dataset(tmp_path, files, change_label={'path': path}, label=None, second_label=None, metainfo=None,
                   test_mode=True, normalize='per_scene', window=(120, 160))[0]
    assert item['seg_fields'] == ['gt_seg_map'] and (item['gt_seg_map'] == 1).sum() == 100


def test_change_aware_windows(tmp_path: Path) -> None:
    data = dataset(tmp_path, windows={'type': 'imbdense.ChangeAwareWindowSampler', 'frac_change': 1.0})
    assert all((data[k]['gt_seg_map'] == 1).any() for k in range(20))
    uniform = dataset(tmp_path)
    assert np.mean([(uniform[k]['gt_seg_map'] == 1).any() for k in range(60)]) < 0.6


def test_statistics_are_of_both_dates(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    values, valid = zip(*(stack.read((0, 0, 120, 160)) for stack in data.scene.stacks))
    both = np.concatenate([value[known] for value, known in zip(values, valid)]).astype(float)
    assert data.band_statistics.pixels == len(both)
    assert np.allclose(data.band_statistics.mean[0], both[:, 0].mean())


def test_a_hole_of_one_date_hides_the_change_but_not_the_other_date(tmp_path: Path) -> None:
    files = place(tmp_path)
    with rasterio.open(files['t2']) as source:
        later = source.read().astype(np.int16)
    later[:, 30:40, 10:20] = -1
    files['t2'] = write(tmp_path / 'hole.tif', later, nodata=-1, names=('red', 'green', 'blue', 'nir'))
    item = dataset(tmp_path, files, test_mode=True, normalize='per_scene', window=(120, 160),
                   pipeline=[{'type': 'imbdense.NormalizeBands'}])[0]
    hole = (slice(30, 40), slice(10, 20))
    assert (item['gt_seg_map'][hole] == 255).all() and (item['gt_seg_map_t2'][hole] == 255).all()
    assert (item['gt_seg_map_t1'][hole] != 255).all()
    assert not item['img'][hole][..., 10:].any() and item['img'][hole][..., :4].any()


def test_samples_are_packed_for_models_of_change(tmp_path: Path) -> None:
    data = dataset(tmp_path, pipeline=[
        {'type': 'imbdense.GeoFlip'}, {'type': 'imbdense.GeoRot90'}, {'type': 'imbdense.BandPhotometric'},
        {'type': 'imbdense.NormalizeBands'}, {'type': 'imbdense.PackChangeInputs'},
    ])
    item = data[0]
    assert item['inputs'].shape == (20, 24, 24) and item['data_samples'].gt_sem_t2.data.shape == (1, 24, 24)
    assert item['data_samples'].metainfo['window'] is not None


def test_dates_must_be_alike(tmp_path: Path) -> None:
    files = place(tmp_path)
    with pytest.raises(ValueError, match='date 2 has the bands'):
        dataset(tmp_path, files, second_sources=sources(files, 't2')[:1])
    with pytest.raises(ValueError, match='second_label'):
        dataset(tmp_path, files, second_label=None)
