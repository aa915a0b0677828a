"""States of pixels and their counts: equal to a loop over pixels, for few and many classes; wrong values are named."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbdense.core.metrics import byte_table, present_pairs
from imbdense.core.metrics.change_states import change_states, count_state_pairs
from imbdense.core.metrics.change_tables import (
    binary_table,
    date_table,
    from_to_columns,
    from_to_table,
    label_census,
    semantic_table,
)
from tests.helpers.change_samples import change_samples, slow_tables

KEYS = [f'{side}_sem_{field}' for side in ('pred', 'gt') for field in ('seg', 't1', 't2')]


def pairs_of(sample: dict, classes: int):
    maps = [sample[key]['data'].to(torch.uint8) for key in KEYS]
    predicted = change_states(*maps[:3], classes, side='prediction')
    labelled = change_states(*maps[3:], classes, side='label')
    return count_state_pairs(predicted, labelled, classes)


@pytest.mark.parametrize('classes', [1, 3, 6, 14, 15, 23, 60])
@pytest.mark.parametrize('full', [False, True])
def test_tables_equal_a_loop_over_pixels(classes: int, full: bool) -> None:
    (sample,) = change_samples(1, classes, full=full, dead=True, ignored=True, side=24)
    pairs, expected = pairs_of(sample, classes), slow_tables([sample], classes)
    np.testing.assert_array_equal(semantic_table(pairs), expected['sem'])
    np.testing.assert_array_equal(date_table(pairs, 0) + date_table(pairs, 1), expected['sem'])
    np.testing.assert_array_equal(binary_table(pairs), expected['bcd'])
    np.testing.assert_array_equal(from_to_table(pairs), expected['from_to'])
    for label, column in from_to_columns(pairs).items():
        np.testing.assert_array_equal(column, expected['from_to'][:, label])
    assert all(table.dtype == np.int64 for table in (semantic_table(pairs), pairs.count))
    census = label_census(pairs)
    assert census.sum() == expected['bcd'].sum() and census[0] == expected['bcd'][:, 0].sum()


def test_many_states_take_the_wide_count() -> None:
    """More than 256 pairs of classes on one map."""
    rng = np.random.default_rng(0)
    classes = 40
    maps = [torch.from_numpy(rng.integers(0, classes, (90, 90)).astype(np.uint8)) for _ in range(4)]
    ones = torch.ones(90, 90, dtype=torch.uint8)
    pairs = count_state_pairs(
        change_states(ones, maps[0], maps[1], classes, side='prediction'),
        change_states(ones, maps[2], maps[3], classes, side='label'),
        classes,
    )
    assert len(np.unique(pairs.labelled)) > 256
    expected = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    for said, true in ((maps[0], maps[2]), (maps[1], maps[3])):
        np.add.at(expected, (said.numpy().ravel() + 1, true.numpy().ravel() + 1), 1)
    np.testing.assert_array_equal(semantic_table(pairs), expected)


@pytest.mark.parametrize('classes', [6, 23])
def test_without_numba_the_counts_are_the_same(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (sample,) = change_samples(1, classes, dead=True, ignored=True)
    fast = pairs_of(sample, classes)
    monkeypatch.setattr(byte_table, 'numba_kernels', lambda: None)
    monkeypatch.setattr(present_pairs, '_kernels', lambda: None)
    slow = pairs_of(sample, classes)
    for name in ('predicted', 'labelled', 'count'):
        np.testing.assert_array_equal(getattr(fast, name), getattr(slow, name))


def test_inputs_are_left_alone_and_empty_maps_count_nothing() -> None:
    (sample,) = change_samples(1, 3, ignored=True)
    maps = [sample[key]['data'].to(torch.uint8) for key in KEYS]
    before = [item.clone() for item in maps]
    change_states(*maps[3:], 3, side='label')
    assert all(torch.equal(a, b) for a, b in zip(before, maps))
    empty = torch.zeros(0, dtype=torch.uint8)
    for classes in (3, 20):
        states = [change_states(empty, empty, empty, classes, side=side) for side in ('prediction', 'label')]
        assert count_state_pairs(*states, classes).count.size == 0


def test_wrong_values_are_named() -> None:
    zeros, ones = torch.zeros(2, 2, dtype=torch.uint8), torch.ones(2, 2, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r'prediction land cover holds the values \[7\].*C = 6'):
        change_states(zeros, zeros, ones * 7, 6, side='prediction')
    with pytest.raises(ValueError, match=r'0/255'):
        change_states(ones * 255, zeros, zeros, 6, side='prediction')
    with pytest.raises(ValueError, match=r'label change map holds the values \[2\]'):
        change_states(ones * 2, zeros, zeros, 6, side='label')
    with pytest.raises(ValueError, match='num_land_classes'):
        change_states(zeros, zeros, zeros, 254, side='label')
    with pytest.raises(ValueError, match='differ in size'):
        count_state_pairs(zeros, torch.zeros(3, 3, dtype=torch.uint8), 6)


def test_small_byte_tables_see_what_does_not_fit() -> None:
    values = np.array([0, 3, 9], dtype=np.uint8)
    table = byte_table.count_byte_pairs(values, values, 10)
    assert table is not None and table[:, :10, :10].sum(axis=0).trace() == 3
    assert byte_table.count_byte_pairs(values, values, 9) is None
