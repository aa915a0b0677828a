"""Exchanging the dates."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('mmseg')

from imbdense.core.stats import ImageClassTable
from imbdense.registry import TRANSFORMS
from tests.mm.transforms.test_per_date import sample


def swap(given, **options):
    return TRANSFORMS.build({'type': 'imbdense.SwapDates', **options})(given)


def files():
    return {'img_path_from': 'a', 'img_path_to': 'b', 'img_paths': ['a', 'b'], 'seg_map_path_from': 'la',
            'seg_map_path_to': 'lb'}  # fmt: skip


def test_images_labels_and_names_go_together():
    before = {**sample(), **files()}
    after = swap({**before, 'seg_fields': list(before['seg_fields'])}, prob=1)
    assert np.array_equal(after['img'][..., :3], before['img'][..., 3:])
    assert np.array_equal(after['img'][..., 3:], before['img'][..., :3])
    assert after['gt_seg_map_t1'] is before['gt_seg_map_t2'] and after['gt_seg_map_t2'] is before['gt_seg_map_t1']
    assert np.array_equal(after['gt_seg_map'], before['gt_seg_map'])
    assert (after['img_path'], after['img_path_to'], after['seg_map_path_from']) == ('b', 'a', 'lb')
    twice = swap(after, prob=1)
    assert np.array_equal(twice['img'], before['img']) and twice['img_path'] == 'a'


def test_a_share_of_the_pairs():
    np.random.seed(0)
    first = sample()['img'][..., :3]
    swapped = [not np.array_equal(swap(sample(), prob=0.3)['img'][..., :3], first) for _ in range(300)]
    assert 0.2 < np.mean(swapped) < 0.4
    assert np.array_equal(swap(sample(), prob=0)['img'][..., :3], first)


def test_a_series_is_reversed():
    given = sample()
    given['img'] = np.concatenate([given['img'], 9 * np.ones_like(given['img'][..., :3])], axis=2)
    given.update(num_dates=3, gt_seg_map_t3=np.full((64, 48), 3, np.uint8), img_paths=['a', 'b', 'c'])
    after = swap(given, prob=1)
    assert (after['img'][..., :3] == 9).all() and (after['gt_seg_map_t1'] == 3).all()
    assert after['img_paths'] == ['c', 'b', 'a']


def test_kinds_of_change_need_their_mirror():
    given = {**sample(), 'change_mode': 'direct'}
    with pytest.raises(ValueError, match='swap_classes'):
        swap(dict(given))
    given['gt_seg_map'] = np.array([[0, 1, 2, 255]], np.uint8)
    assert swap(given, prob=1, swap_classes={1: 2, 2: 1})['gt_seg_map'].tolist() == [[0, 2, 1, 255]]


def test_declared_effect():
    table = ImageClassTable.from_dense([[90, 9, 1], [50, 50, 0]])
    context = SimpleNamespace(table=table, draws=np.array([1.0, 2.0]))
    build = TRANSFORMS.build
    kinds = build({'type': 'imbdense.SwapDates', 'prob': 0.5, 'swap_classes': {1: 2, 2: 1}}).prior_effect(context)
    assert np.allclose(kinds, [190, 55, 55])
    assert np.allclose(build({'type': 'imbdense.SwapDates'}).prior_effect(context), [190, 109, 1])
