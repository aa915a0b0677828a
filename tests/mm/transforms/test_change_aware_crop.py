"""Crops around rare transitions, and what they tell the ledger."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('mmseg')

from imbdense.data.readers.labels import LabelFormat
from imbdense.mm.prior import build_ledger
from imbdense.registry import DATASETS, TRANSFORMS
from tests.data.change.pair_files import write_array, write_pairs

COVERS = LabelFormat.of(('a', 'b', 'c'))


def sample():
    """100 x 100: a large a -> b, a small b -> c, a single a -> c; nothing else changes."""
    t1, t2 = np.zeros((2, 100, 100), np.uint8)
    t2[:40, :40] = 1
    t1[60:63, 60:63], t2[60:63, 60:63] = 1, 2
    t2[90, 5] = 2
    change = (t1 != t2).astype(np.uint8)
    return {
        'img': np.stack([t1, t2], axis=2), 'gt_seg_map': change, 'gt_seg_map_t1': t1, 'gt_seg_map_t2': t2,
        'seg_fields': ['gt_seg_map', 'gt_seg_map_t1', 'gt_seg_map_t2'], 'num_dates': 2, 'land_cover_format': COVERS,
    }  # fmt: skip


def crop(given, **options):
    return TRANSFORMS.build({'type': 'imbdense.ChangeAwareCrop', 'crop_size': 9, **options})(given)


def hits(test, number=120, seed=0, change=None, **options):
    """Share of crops for which ``test`` holds."""
    np.random.seed(seed)
    given = [{**sample(), **(change or {})} for _ in range(number)]
    return np.mean([test(crop(item, **options)) for item in given])


def holds(before, after):
    return lambda found: bool(((found['gt_seg_map_t1'] == before) & (found['gt_seg_map_t2'] == after)).any())


def test_every_transition_gets_its_share():
    for pair in ((0, 1), (1, 2), (0, 2)):
        assert 0.2 < hits(holds(*pair), rate=1.0, power=0) < 0.47
    assert hits(holds(0, 2), rate=1.0, power=1) > 0.8, 'power 1: the rarest comes most often'
    assert hits(holds(0, 2), rate=0) < 0.1


def test_counts_of_the_data_set_win_over_those_of_the_pair():
    pixels = np.zeros(9)
    pixels[[1, 5, 2]] = 10, 10**9, 10**9  # a -> b, b -> c, a -> c
    assert hits(holds(0, 1), rate=1.0, power=1, change={'transition_pixels': pixels}) > 0.95


def test_by_land_cover_after_and_by_change():
    assert 0.35 < hits(lambda f: bool((f['gt_seg_map_t2'] == 2).any()), rate=1.0, power=0, by='land_cover') < 0.65
    assert hits(lambda f: bool((f['gt_seg_map'] == 1).any()), rate=1.0, by='change') == 1
    without = {'land_cover_format': None}
    assert hits(lambda f: bool((f['gt_seg_map'] == 1).any()), rate=1.0, change=without) == 1


def test_dates_and_labels_stay_together():
    found = crop(sample(), rate=1.0)
    assert found['img'].shape == (9, 9, 2)
    assert np.array_equal(found['img'][..., 0], found['gt_seg_map_t1'])
    assert np.array_equal(found['img'][..., 1], found['gt_seg_map_t2'])


@pytest.mark.parametrize('value', [0, 255])
def test_nothing_to_find(value):
    given = sample()
    given['gt_seg_map'][:] = value
    assert crop(given, rate=1.0)['gt_seg_map'].shape == (9, 9)


def test_the_ledger_hears_what_the_crops_do(tmp_path):
    """Declared shares against the mean of real crops."""
    root = write_pairs(tmp_path / 'pairs', train=6, val=0, size=(48, 64))
    quiet = np.zeros((48, 64), np.uint8)
    quiet[40:44, 56:60] = 1
    for number in range(6):
        write_array(root / f'label_change/{number:03d}.png', quiet)
    pipeline = [{'type': 'imbdense.LoadChangePair'},
                {'type': 'imbdense.ChangeAwareCrop', 'crop_size': 16, 'rate': 0.6, 'by': 'change'}]  # fmt: skip
    dataset = DATASETS.build({'type': 'imbdense.ChangePairDataset', 'data_root': str(root), 'pipeline': pipeline})
    from imbdense.mm.datasets.statistics import class_counts, class_table

    ledger, unknown = build_ledger(class_counts(dataset), class_table(dataset), dataset, None)
    assert not unknown and ledger.entries[-1].source == 'ChangeAwareCrop'
    np.random.seed(0)
    labels = np.stack([dataset[index % 6]['gt_seg_map'] for index in range(600)])
    share = (labels == 1).mean()
    assert abs(ledger.seen_prior[1] / share - 1) < 0.12 and share > 5 * (quiet == 1).mean()


def test_the_data_set_hands_its_transitions_on(tmp_path):
    root = write_pairs(tmp_path / 'pairs')
    pipeline = [{'type': 'imbdense.LoadChangePair'}, {'type': 'imbdense.ChangeAwareCrop', 'crop_size': 8}]
    dataset = DATASETS.build({'type': 'imbdense.ChangePairDataset', 'data_root': str(root), 'pipeline': pipeline})
    assert np.array_equal(dataset.get_data_info(0)['transition_pixels'], dataset.transitions().matrix.ravel())
    assert dataset[0]['gt_seg_map'].shape == (8, 8)
