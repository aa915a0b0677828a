"""Counts of transitions: right, cached, and of the state the files are in."""

from __future__ import annotations

import os

import numpy as np
import pytest

from imbdense.data.change import transitions
from imbdense.data.change.pairs import PairFolders, list_pairs
from imbdense.data.change.summary import change_summary
from imbdense.data.change.transitions import CONTRADICTED, SAME, count_transitions
from imbdense.data.readers.labels import LabelFormat
from imbdense.data.scan import scan_labels
from tests.data.change.pair_files import LAND_COVER, land_covers, write_array, write_pairs

CHANGE, COVER = LabelFormat.of(('unchanged', 'changed')), LabelFormat.of(LAND_COVER)


@pytest.fixture
def root(tmp_path):
    return write_pairs(tmp_path / 'pairs')


def pairs_of(root, split=None):
    folders = PairFolders(
        (f'{root}/t1', f'{root}/t2'), f'{root}/label_change', (f'{root}/label_t1', f'{root}/label_t2')
    )
    return list_pairs(folders, split)


def count(root, **options):
    return count_transitions(pairs_of(root), CHANGE, COVER, **options)


def test_against_a_loop_over_pixels(root):
    found = count(root, cache=False)
    matrix = np.zeros((4, 4), int)
    for number in range(6):
        for before, after, change in zip(*(label.ravel() for label in land_covers(number))):
            if change == 1 and before < 4 and after < 4:
                matrix[before, after] += 1
    assert np.array_equal(found.matrix, matrix) and matrix.sum() > 100
    table = found.table()
    assert table.totals[1:].tolist() == matrix[matrix > 0].tolist() and len(table) == 6
    assert found.names[1:] == [
        f'{LAND_COVER[b]} -> {LAND_COVER[a]}' for b in range(4) for a in range(4) if matrix[b, a]
    ]


def test_only_new_and_changed_files_are_read(root, monkeypatch):
    first = count(root)
    read = []
    original = transitions._count
    monkeypatch.setattr(transitions, '_count', lambda pair, *rest: read.append(pair.change) or original(pair, *rest))
    assert np.array_equal(count(root).matrix, first.matrix) and not read
    t2 = land_covers(1)[1]
    t2[:] = 0
    path = write_array(root / 'label_t2/001.png', t2)
    os.utime(path, ns=(1, 1))
    second = count(root)
    assert [os.path.basename(name) for name in read] == ['001.png']
    assert second.rows[0][1].tolist() == first.rows[0][1].tolist()
    assert not np.array_equal(second.matrix, first.matrix)
    read.clear()
    part = count_transitions(pairs_of(root, root / 'splits/val.txt'), CHANGE, COVER)
    count(root)
    assert not read and len(part.rows) == 2, 'splits share one cache'


def test_a_damaged_cache_is_counted_again(root):
    first = count(root)
    (file,) = (root / 'label_change/.imbdense').glob('transitions-*.npz')
    file.write_bytes(file.read_bytes()[:50])
    assert np.array_equal(count(root).matrix, first.matrix)


def test_workers_change_nothing(root, monkeypatch):
    monkeypatch.setattr(transitions, 'CHUNK', 2)
    assert np.array_equal(count(root, workers=2, cache=False).matrix, count(root, workers=1, cache=False).matrix)


def test_contradictions_and_change_inside_a_class(root):
    t1, t2, change = land_covers(0)
    change[change == 1] = 0
    write_array(root / 'label_change/000.png', change)
    known = (t1 < 4) & (change != 255)
    assert count(root).pixels_of(CONTRADICTED).tolist() == [int((known & (t1 != t2)).sum()), 0, 0, 0, 0, 0]
    write_array(root / 'label_change/000.png', np.where(change == 0, 1, change))
    assert count(root, cache=False).pixels_of(SAME)[0] == (known & (t1 == t2)).sum()


def test_maps_of_different_size_are_named(root):
    write_array(root / 'label_t2/003.png', np.zeros((3, 3), np.uint8))
    with pytest.raises(ValueError, match=r'label_t2/003\.png is \(3, 3\)'):
        count(root)


def test_summary(root):
    write_array(root / 'label_change/000.png', np.zeros((24, 32), np.uint8))
    scan = scan_labels([pair.change for pair in pairs_of(root)], CHANGE, cache=False)
    found = change_summary(scan.table, count(root))
    changes = np.stack([np.zeros((24, 32)), *(land_covers(number)[2] for number in range(1, 6))])
    assert found.changed_pixels == (changes == 1).sum() / (changes != 255).sum()
    assert found.pairs_with_change == 5 / 6 and found.possible == 12 and not found.advice()
    assert 1 < found.effective_transitions <= len(found.transitions) <= 12
    assert found.to_dict()['transitions'].keys() == found.transitions.keys()
    for number in range(6):
        write_array(root / f'label_change/{number:03d}.png', np.full((24, 32), 255 if number else 1, np.uint8))
    scan = scan_labels([pair.change for pair in pairs_of(root)], CHANGE, cache=False)
    assert 'BalancedClassSampler' in change_summary(scan.table, None).advice()[0]
    empty = scan_labels([pairs_of(root)[1].change], CHANGE, cache=False)
    assert np.isnan(change_summary(empty.table, None).changed_pixels)
    assert change_summary(empty.table, None).to_dict()['changed_pixels'] is None
