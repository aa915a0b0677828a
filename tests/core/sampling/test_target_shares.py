"""Subsets with given class shares: the formula by hand, shares reached with several classes per image, edges."""

from __future__ import annotations

import time

import numpy as np
import pytest

from imbdense.core.sampling import target_subset
from imbdense.core.stats import ImageClassTable
from tests.core.sampling.test_subset import co_occurring, one_class_each


@pytest.mark.parametrize(
    ('share', 'expected'), [(0.5, [60, 60]), (0.1, [15, 140]), (0.3, [60, 140]), (0.9, [60, 6]), (0.0, [0, 140])]
)
def test_two_classes_by_hand(share: float, expected: list[int]) -> None:
    """From 60 : 140: half 60 : 60; 10 % min(60, floor(.1 / .9 * 140) = 15) : 140, which is 9.7 %."""
    found = target_subset(one_class_each(60, 140), {0: share, 1: 1 - share})
    assert found.counts.tolist() == expected and found.images.size == sum(expected)
    if share > 0:
        assert abs(found.counts[0] / found.counts.sum() - share) < 0.01


def test_more_classes_of_one_class_images() -> None:
    found = target_subset(one_class_each(100, 100, 100), {0: 0.7, 1: 0.2, 2: 0.1})
    assert found.counts.tolist() == [100, 28, 14]


@pytest.mark.parametrize('unit', ['images', 'amounts'])
@pytest.mark.parametrize('wanted', [[0.2] * 5, [0.5, 0.2, 0.15, 0.1, 0.05]])
def test_images_with_several_classes_reach_the_shares(unit: str, wanted: list[float]) -> None:
    table = co_occurring()
    found = target_subset(table, dict(enumerate(wanted)), unit=unit)
    again = target_subset(table, dict(enumerate(wanted)), unit=unit)
    part = table.subset(found.images)
    counts = part.totals if unit == 'amounts' else part.image_counts
    assert (counts == found.counts).all() and (found.images == again.images).all()
    assert np.abs(counts / counts.sum() - wanted).max() <= 0.01
    assert found.images.size > 300, 'not much more is removed than has to be'


def test_what_cannot_be_reached_is_approached_and_told() -> None:
    """Class 1 comes only together with class 0: it cannot have more than half."""
    table = ImageClassTable.from_dense([[1, 1]] * 10 + [[1, 0]] * 30)
    found = target_subset(table, {0: 0.2, 1: 0.8})
    assert found.counts.tolist() == [10, 10] and found.targets.tolist() == [4.0, 16.0]


def test_images_without_a_named_class_stay() -> None:
    table = ImageClassTable.from_lists([[0]] * 6 + [[1]] * 14 + [[]] * 5 + [[2]] * 3, 3)
    found = target_subset(table, {0: 1, 1: 1})
    assert found.counts.tolist() == [6, 6, 3] and found.images.size == 20 and np.isinf(found.targets[2])


@pytest.mark.parametrize(
    ('shares', 'words'),
    [({0: 1.0}, 'at least two classes'), ({0: 0.5, 7: 0.5}, 'below 3'), ({0: 0.0, 1: 0.0}, 'above 0'),
     ({0: 0.5, 2: 0.5}, r'no image holds the classes \[2\]'), ({0: -1.0, 1: 2.0}, 'a share')],
)  # fmt: skip
def test_wrong_shares_are_named(shares: dict[int, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        target_subset(ImageClassTable.from_lists([[0], [1]], 3), shares)
    with pytest.raises(ValueError, match='unit'):
        target_subset(one_class_each(2, 2), {0: 0.5, 1: 0.5}, unit='pixels')


def test_twenty_thousand_images_take_seconds() -> None:
    table = co_occurring(2, images=20_000)
    start = time.process_time()
    target_subset(table, {0: 0.5, 1: 0.2, 2: 0.15, 3: 0.1, 4: 0.05})
    assert time.process_time() - start < 5
