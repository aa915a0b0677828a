"""Photometric transforms per date, geometric ones on all dates and labels, and packing."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('mmseg')

from imbdense.registry import TRANSFORMS
from tests.data.change.pair_files import land_covers, picture


def build(kind, **options):
    from mmseg.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    return TRANSFORMS.build({'type': kind, **options})


def sample(seed=0, size=(64, 48)):
    """A loaded pair whose red bands show the land covers."""
    t1, t2, change = land_covers(seed, size)
    image = np.concatenate([picture(t1, 1), picture(t2, 2)], axis=2)
    return {
        'img': image, 'img_shape': size, 'ori_shape': size, 'num_dates': 2, 'img_path': 'a.png',
        'gt_seg_map': change, 'gt_seg_map_t1': t1, 'gt_seg_map_t2': t2,
        'seg_fields': ['gt_seg_map', 'gt_seg_map_t1', 'gt_seg_map_t2'],
    }  # fmt: skip


@pytest.mark.parametrize('seed', range(6))
@pytest.mark.parametrize(
    'transform',
    [
        {'type': 'RandomFlip', 'prob': 1.0, 'direction': ['horizontal', 'vertical', 'diagonal']},
        {'type': 'RandomCrop', 'crop_size': (31, 23), 'cat_max_ratio': 0.75},
        {'type': 'RandomRotFlip', 'rotate_prob': 0.0, 'flip_prob': 1.0},
        {'type': 'Resize', 'scale': (96, 128), 'keep_ratio': True, 'interpolation': 'nearest'},
        {'type': 'imbdense.RareClassCrop', 'crop_size': 20, 'rate': 1.0},
    ],
    ids=lambda config: config['type'],
)
def test_geometric_transforms_keep_dates_and_labels_aligned(transform, seed):
    np.random.seed(seed)
    found = build(**{'kind': transform['type'], **{k: v for k, v in transform.items() if k != 'type'}})(sample(seed))
    for date in (1, 2):
        label, red = found[f'gt_seg_map_t{date}'], found['img'][..., 3 * (date - 1)]
        assert label.shape == red.shape and found['img'].shape[2] == 6
        assert np.array_equal(red, np.where(label == 255, 250, 40 * label + date))
    known = (found['gt_seg_map'] != 255) & (found['gt_seg_map_t1'] != 255)
    assert np.array_equal((found['gt_seg_map_t1'] != found['gt_seg_map_t2'])[known], found['gt_seg_map'][known] == 1)


@pytest.mark.parametrize('seed', range(4))
def test_rotation_turns_every_date_and_label_by_one_angle(seed):
    """Images are interpolated, so pixels along the borders of the classes may differ: cells of 24 pixels."""
    given = sample(seed, (24, 24))
    for key in ('img', *given['seg_fields']):
        given[key] = given[key].repeat(6, axis=0).repeat(6, axis=1)
    given['gt_seg_map_t1'][given['gt_seg_map_t1'] == 255] = 0
    given['img'][..., 0] = given['img'][..., 3] = 40 * given['gt_seg_map_t1'] + 1
    np.random.seed(seed)
    found = build('RandomRotate', prob=1.0, degree=(30.0, 60.0), pad_val=0)(dict(given))
    assert np.array_equal(found['img'][..., 0], found['img'][..., 3])
    inside = found['gt_seg_map_t1'] != 255
    turned, still = (40 * label + 1 for label in (found['gt_seg_map_t1'], given['gt_seg_map_t1']))
    assert (found['img'][..., 0] == turned)[inside].mean() > 0.85 > (found['img'][..., 0] == still)[inside].mean() + 0.2


def test_each_date_is_an_image_of_its_own():
    given = sample()
    given['img'][..., 3:] = given['img'][..., :3]
    config = [{'type': 'PhotoMetricDistortion', 'brightness_delta': 60}]
    np.random.seed(1)
    one = build('imbdense.PerDate', transforms=config)(dict(given))['img']
    assert one.shape == (64, 48, 6) and not np.array_equal(one[..., :3], one[..., 3:])
    np.random.seed(1)
    same = build('imbdense.PerDate', transforms=config, shared=True)(dict(given))['img']
    assert np.array_equal(same[..., :3], same[..., 3:]) and not np.array_equal(same[..., :3], given['img'][..., :3])
    assert np.array_equal(same[..., :3], one[..., :3]), 'the first date does not depend on `shared`'
    np.random.seed(1)
    host = build('PhotoMetricDistortion', brightness_delta=60)({'img': given['img'][..., :3].copy()})['img']
    assert np.array_equal(host, one[..., :3])


def test_labels_are_out_of_reach_and_geometry_is_refused():
    given = sample()
    found = build('imbdense.PerDate', transforms=[{'type': 'CLAHE'}])(dict(given))
    assert found['gt_seg_map'] is given['gt_seg_map'] and found['seg_fields'] == given['seg_fields']
    for config in ({'type': 'RandomFlip', 'prob': 1.0}, {'type': 'Resize', 'scale': (10, 10)}):
        with pytest.raises(ValueError, match='outside of PerDate'):
            build('imbdense.PerDate', transforms=[config])(dict(given))


def test_a_flip_before_does_not_count_as_one_inside():
    given = {**sample(), 'flip': True, 'flip_direction': 'horizontal'}
    found = build('imbdense.PerDate', transforms=[])(given)
    assert found['flip'] is True


def test_channels_that_are_no_dates():
    with pytest.raises(ValueError, match='5 channels'):
        build('imbdense.PerDate', transforms=[])({**sample(), 'img': np.zeros((8, 8, 5), np.uint8)})
    given = sample()
    del given['num_dates']
    with pytest.raises(ValueError, match='num_dates'):
        build('imbdense.PerDate', transforms=[])(given)


def test_others_can_walk_through_it():
    """The ledger asks every transform, also inside others."""
    from imbdense.mm.prior import prior_transforms

    transform = build('imbdense.PerDate', transforms=[{'type': 'PhotoMetricDistortion'}])
    dataset = type('DataSet', (), {'pipeline': type('Pipeline', (), {'transforms': [transform]})()})()
    assert list(prior_transforms(dataset)) == []
