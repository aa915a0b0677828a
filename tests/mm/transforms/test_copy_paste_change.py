"""Objects pasted into one date make changes, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('mmseg')

from imbdense.data.instance_bank import BankObject, InstanceBank
from imbdense.data.readers.labels import LabelFormat
from imbdense.mm.prior import build_ledger
from imbdense.registry import DATASETS, TRANSFORMS
from tests.data.change.pair_files import LAND_COVER, write_array, write_pairs


def make_bank(folder, classes=LAND_COVER, bands=3, klass=0):
    """Four objects of 5 x 6 pixels, red 201."""
    bank = InstanceBank.create(folder, classes)
    values = np.full((5, 6, bands), 201, np.uint8)
    writer = bank.start_round({'made': 'by hand'}, number=0)
    mask = np.ones((5, 6), bool)
    writer.write('all', [BankObject(values - n, klass, f'{n}.png', (0.0, 0.0, 6.0, 5.0), mask=mask) for n in range(4)])
    writer.finish()
    return str(folder)


def sample(cover=True, unknown=False):
    """A quiet pair: land cover 1 at both dates, a strip of class 0 at both, an ignored corner."""
    label = np.ones((60, 80), np.uint8)
    label[:, 40:50] = 0
    change = np.zeros((60, 80), np.uint8)
    change[:10, :10] = 255
    t1, t2 = (np.full_like(label, 255) if unknown else label.copy() for _ in range(2))
    covers = {'gt_seg_map_t1': t1, 'gt_seg_map_t2': t2, 'land_cover_format': LabelFormat.of(LAND_COVER)}
    return {
        'img': np.zeros((60, 80, 6), np.uint8), 'num_dates': 2, 'gt_seg_map': change,
        'seg_fields': ['gt_seg_map', 'gt_seg_map_t1', 'gt_seg_map_t2'] if cover else ['gt_seg_map'],
        **(covers if cover else {}),
    }  # fmt: skip


def paste(bank, given, seed=0, **options):
    np.random.seed(seed)
    config = {'type': 'imbdense.CopyPasteChange', 'bank': bank, 'quota': 12, 'classes': [0], 'feather': 0}
    return TRANSFORMS.build({**config, **options})(given)


@pytest.mark.parametrize(('date', 'number'), [('first', 0), ('last', 1)])
def test_image_land_cover_and_change_follow_each_other(tmp_path, date, number):
    bank, before = make_bank(tmp_path / 'bank'), sample()
    found = paste(bank, sample(), date=date)
    mine, other = found['img'][..., 3 * number : 3 * number + 3], found['img'][..., 3 - 3 * number : 6 - 3 * number]
    pasted = mine[..., 0] > 0
    assert pasted.sum() > 60 and (other == 0).all()
    label, untouched = found[f'gt_seg_map_t{number + 1}'], f'gt_seg_map_t{2 - number}'
    assert (label[pasted] == 0).all() and np.array_equal(found[untouched], before[untouched])
    known = before['gt_seg_map'] != 255
    assert np.array_equal(found['gt_seg_map'] == 255, ~known), 'ignored pixels stay ignored'
    assert not pasted[~known].any()
    assert np.array_equal(found['gt_seg_map'][known] == 1, (label != found[untouched])[known])
    assert (found['gt_seg_map'][pasted & (before[untouched] == 0)] == 0).all(), 'the same class: no change'


def test_both_dates_get_their_turn(tmp_path):
    bank = make_bank(tmp_path / 'bank')
    dates = [int(paste(bank, sample(), seed)['img'][..., 3:].any()) for seed in range(30)]
    assert 5 < sum(dates) < 25


@pytest.mark.parametrize('given', [{'unknown': True}, {'cover': False}], ids=['unknown land cover', 'no land cover'])
def test_where_the_other_date_is_not_known_it_is_a_change(tmp_path, given):
    found = paste(make_bank(tmp_path / 'bank'), sample(**given), date='last')
    pasted = found['img'][..., 3] > 0
    assert np.array_equal(found['gt_seg_map'] == 1, pasted) and pasted.any()


def test_an_all_ignored_pair_and_a_quota_of_nothing_change_nothing(tmp_path):
    bank, given = make_bank(tmp_path / 'bank'), sample()
    given['gt_seg_map'][:] = 255
    assert not paste(bank, given)['img'].any()
    assert not paste(bank, sample(), quota=0)['img'].any()


@pytest.mark.parametrize(
    ('change', 'bank', 'words'),
    [
        ({'change_mode': 'direct'}, {}, 'kinds of change'),
        ({'num_dates': 3}, {}, 'pairs'),
        ({}, {'classes': ('x', 'y')}, r'classes of the land cover'),
        ({}, {'bands': 4}, '3 bands'),
    ],
)
def test_what_would_spoil_a_pair_is_refused(tmp_path, change, bank, words):
    with pytest.raises(ValueError, match=words):
        paste(make_bank(tmp_path / 'bank', **bank), {**sample(), **change})


def test_the_ledger_hears_what_the_pastes_do(tmp_path):
    root = write_pairs(tmp_path / 'pairs', train=4, val=0, size=(60, 80))
    label = sample()['gt_seg_map_t1']
    for number in range(4):
        for name, values in (('t1', label), ('t2', label), ('change', sample()['gt_seg_map'])):
            write_array(root / f'label_{name}/{number:03d}.png', values)
    write_array(root / 'label_change/003.png', np.eye(60, 80, dtype=np.uint8))
    pipeline = [
        {'type': 'imbdense.LoadChangePair'},
        {'type': 'imbdense.CopyPasteChange', 'bank': make_bank(tmp_path / 'bank'), 'quota': 3, 'classes': [0]},
    ]
    dataset = DATASETS.build({'type': 'imbdense.ChangePairDataset', 'data_root': str(root), 'pipeline': pipeline})
    from imbdense.mm.datasets.statistics import class_counts, class_table

    ledger, unknown = build_ledger(class_counts(dataset), class_table(dataset), dataset, None)
    np.random.seed(0)
    labels = np.stack([dataset[index % 4]['gt_seg_map'] for index in range(400)])
    share = (labels == 1).sum() / (labels != 255).sum()
    assert not unknown and abs(ledger.seen_prior[1] / share - 1) < 0.1
