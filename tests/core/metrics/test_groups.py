"""Frequency groups: thirds, ranges, lists; NaN-aware means; mistakes are named."""

from __future__ import annotations

import math

import pytest

from imbdense.core.metrics.groups import FrequencyGroups, make_groups, mean_present

CLASSES = ['a', 'b', 'c', 'd', 'e', 'f']
COUNTS = [5, 500, 50, 0, 101, 11]


def test_thirds_are_ordered_by_count() -> None:
    groups = make_groups('thirds', COUNTS, CLASSES, source='pixels')
    assert groups.members == {'head': (1, 4), 'medium': (2,), 'tail': (0, 5)}
    assert groups.ungrouped == (3,)
    assert groups.source == 'pixels'
    assert make_groups(None, COUNTS, CLASSES, source='pixels') == groups


@pytest.mark.parametrize(('size', 'sizes'), [(1, [1]), (2, [1, 1]), (3, [1] * 3), (4, [1, 2, 1]), (5, [2, 1, 2]),
                                             (7, [2, 3, 2]), (8, [3, 2, 3])])  # fmt: skip
def test_sizes_of_thirds(size: int, sizes: list[int]) -> None:
    groups = FrequencyGroups.thirds(list(range(size, 0, -1)), source='x')
    assert [len(members) for members in groups.members.values()] == sizes
    assert sorted(i for part in groups.members.values() for i in part) == list(range(size))


def test_ranges_and_what_is_left_over() -> None:
    ranges = {'rare': (1, 10), 'common': (11, 100), 'frequent': [101, None]}
    groups = make_groups(ranges, COUNTS, CLASSES, source='images of the training set')
    assert groups.members == {'rare': (0,), 'common': (2, 5), 'frequent': (1, 4)}
    assert groups.ungrouped == (3,)


def test_lists_of_names() -> None:
    groups = make_groups({'vehicles': ['f', 'b'], 'rest': ['a']}, COUNTS, CLASSES, source='x')
    assert groups.members == {'vehicles': (1, 5), 'rest': (0,)}
    assert groups.ungrouped == (2, 3, 4)


def test_means_leave_nan_out() -> None:
    nan = float('nan')
    groups = make_groups('thirds', COUNTS, CLASSES, source='pixels')
    means = groups.means([nan, 0.8, nan, 0.9, 0.6, 0.1])
    assert means['head'] == pytest.approx(0.7)
    assert means['tail'] == pytest.approx(0.1)
    assert math.isnan(means['medium'])
    assert math.isnan(mean_present([]))


@pytest.mark.parametrize(
    ('spec', 'message'),
    [('quarters', 'thirds'), ({}, 'thirds'), ({'a': (1, 10), 'b': (10, 20)}, 'overlap'), ({'a': (10, 1)}, 'empty'),
     ({'a': ['zebra']}, 'not a class'), ({'a': ['b'], 'c': ['b']}, 'both')],
)  # fmt: skip
def test_bad_specs_are_named(spec: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_groups(spec, COUNTS, CLASSES, source='x')


def test_counts_must_fit_the_classes() -> None:
    with pytest.raises(ValueError, match='reduce_zero_label'):
        make_groups('thirds', [1, 2], CLASSES, source='x')
    with pytest.raises(ValueError, match='finite'):
        FrequencyGroups.thirds([1, -2], source='x')
    with pytest.raises(TypeError, match='low, high'):
        make_groups({'a': (1, 2, 3)}, COUNTS, CLASSES, source='x')
