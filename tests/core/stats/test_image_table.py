"""Which image holds how much of which class."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.stats import ImageClassTable

DENSE = np.array([[3, 0, 1], [0, 0, 0], [0, 2, 0], [5, 0, 4]])


@pytest.fixture
def table() -> ImageClassTable:
    return ImageClassTable.from_dense(DENSE)


def test_from_lists_counts_repeats() -> None:
    table = ImageClassTable.from_lists([[0, 0, 0, 2], [], [1, 1], [2, 0, 2, 0, 2, 0, 2, 0, 0]], 3)
    assert table.totals.tolist() == DENSE.sum(0).tolist()
    assert table.amounts_of(3).tolist() == [5, 4] and table.classes_of(3).tolist() == [0, 2]


def test_rows_and_columns(table: ImageClassTable) -> None:
    assert len(table) == 4 and table.classes_of(1).size == 0
    assert table.images_of(0).tolist() == [0, 3] and table.amounts_in_images_of(0).tolist() == [3, 5]
    assert table.image_counts.tolist() == [2, 1, 2] and table.empty_images.tolist() == [1]


def test_expected_totals_are_a_weighted_sum(table: ImageClassTable) -> None:
    draws = np.array([0.5, 3.0, 2.0, 1.0])
    assert table.expected_totals(draws) == pytest.approx(draws @ DENSE)
    with pytest.raises(ValueError, match=r'one rate per image, \(4,\)'):
        table.expected_totals([1.0])


def test_subset_repeats_and_reorders(table: ImageClassTable) -> None:
    part = table.subset([3, 1, 3])
    assert part.totals.tolist() == (2 * DENSE[3]).tolist() and part.empty_images.tolist() == [1]
    assert len(table.subset([])) == 0


def test_no_image_and_no_class_present() -> None:
    assert ImageClassTable.from_lists([], 2).totals.tolist() == [0, 0]
    assert ImageClassTable.from_lists([[], []], 2).image_counts.tolist() == [0, 0]


@pytest.mark.parametrize('rows', [[[3]], [[-1]]])
def test_foreign_class_index(rows: list[list[int]]) -> None:
    with pytest.raises(ValueError, match=r'class indices must lie in \[0, 3\)'):
        ImageClassTable.from_lists(rows, 3)


def test_inconsistent_arrays() -> None:
    with pytest.raises(ValueError, match='indptr must end with'):
        ImageClassTable([0, 2], [0], [1], 1)
    with pytest.raises(ValueError, match='equal shapes'):
        ImageClassTable([0, 1], [0], [1, 2], 1)
