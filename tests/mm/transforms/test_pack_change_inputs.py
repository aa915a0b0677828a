"""Packing of pairs, through the preprocessor."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('mmseg')

from imbdense.mm.structures.scd_data_sample import SCDDataSample
from imbdense.registry import MODELS, TRANSFORMS
from tests.mm.transforms.test_per_date import sample


def pack(given, **options):
    return TRANSFORMS.build({'type': 'imbdense.PackChangeInputs', **options})(given)


def test_maps_and_meta():
    given = sample()
    found = pack({**given, 'pixel_weight': np.ones((64, 48), np.float32), 'seg_fields': ['pixel_weight']})
    data = found['data_samples']
    assert isinstance(data, SCDDataSample) and found['inputs'].shape == (6, 64, 48)
    assert data.gt_cd.data.dtype.is_floating_point is False and data.gt_sem_t2.data.shape == (1, 64, 48)
    assert data.pixel_weight.data.dtype.is_floating_point
    assert data.metainfo['num_dates'] == 2 and data.metainfo['img_path'] == 'a.png'


@pytest.mark.parametrize('change', [0, 255], ids=['no change', 'all ignored'])
def test_a_batch_without_change(change):
    """Tiles of different size without a changed, or without a known pixel."""
    batch = {'inputs': [], 'data_samples': []}
    for size in ((64, 48), (32, 40)):
        given = sample(size=size)
        for key in given['seg_fields']:
            given[key][:] = change
        for key, value in pack(given).items():
            batch[key].append(value)
    model = MODELS.build({'type': 'imbdense.DenseDataPreProcessor', 'mean': [1] * 3, 'std': [2] * 3, 'dates': 2})
    out = model(batch, training=True)
    assert out['inputs'].shape == (2, 6, 64, 48)
    small = out['data_samples'][1]
    for name in ('gt_sem_seg', 'gt_sem_t1', 'gt_sem_t2'):
        values = getattr(small, name).data
        assert values.shape == (1, 64, 48) and (values[:, :32, :40] == change).all() and (values[:, 32:] == 255).all()


def test_a_forgotten_map_is_named():
    given = sample()
    given['img'] = given['img'][:10]
    with pytest.raises(ValueError, match=r'gt_seg_map of a\.png is \(64, 48\).*\(10, 48\)'):
        pack(given)
    given = sample()
    del given['num_dates']
    with pytest.raises(ValueError, match='num_dates'):
        pack(given)
