"""Transition matrices, areas, means over present transitions, the long tail."""

from __future__ import annotations

import math

import numpy as np
import pytest

from imbdense.core.metrics.change_scores import HistogramSums
from imbdense.core.metrics.transitions import (
    HECTARE,
    Transitions,
    as_matrix,
    long_tail,
    pixel_area,
    row_normalised,
    transition_scores,
)

HISTOGRAM = np.zeros((5, 5), dtype=np.int64)  # S = 2: ids 1 = a-a, 2 = a-b, 3 = b-a, 4 = b-b
HISTOGRAM[0, 0], HISTOGRAM[2, 2], HISTOGRAM[3, 2], HISTOGRAM[0, 2] = 90, 6, 1, 1
HISTOGRAM[3, 3], HISTOGRAM[4, 0], HISTOGRAM[2, 3] = 2, 3, 2
SUMS = HistogramSums.of(HISTOGRAM)


def test_matrices_by_hand() -> None:
    found = Transitions.of(SUMS)
    assert found.labelled.tolist() == [[0, 8], [4, 0]]
    assert found.predicted.tolist() == [[0, 8], [3, 3]]
    assert found.hit.tolist() == [[0, 6], [2, 0]]
    np.testing.assert_allclose(row_normalised(found.predicted), [[0, 1], [0.5, 0.5]])
    assert np.isnan(row_normalised(np.array([[0, 0], [1, 1]]))[0]).all()
    with pytest.raises(ValueError, match='1 \\+ S\\^2'):
        as_matrix(np.zeros(7))


def test_means_are_over_labelled_transitions_only() -> None:
    found = transition_scores(SUMS)
    iou = [6 / 10, 2 / 5]  # of a-b and b-a; b-b is predicted but not labelled
    assert found['present'] == 2 and found['macro_iou'] == pytest.approx(np.mean(iou))
    assert found['macro_recall'] == pytest.approx((6 / 8 + 2 / 4) / 2)
    assert found['macro_f1'] == pytest.approx((12 / 16 + 4 / 7) / 2)
    assert found['macro_iou_with_unchanged'] == pytest.approx(np.mean([90 / 94, *iou]))
    entropy = -(8 / 12 * math.log(8 / 12) + 4 / 12 * math.log(4 / 12))
    assert found['effective'] == pytest.approx(math.exp(entropy))


def test_effective_number_of_equal_transitions_is_their_number() -> None:
    table = np.diag([10, 4, 4, 4, 4])
    assert transition_scores(HistogramSums.of(table))['effective'] == pytest.approx(4)


def test_no_labelled_change_is_undefined() -> None:
    table = np.zeros((5, 5), dtype=int)
    table[0, 0] = 5
    found = transition_scores(HistogramSums.of(table))
    assert found['present'] == 0 and math.isnan(found['macro_iou']) and math.isnan(found['effective'])
    assert long_tail(HistogramSums.of(table), source='x') == {}


def test_long_tail_by_hand() -> None:
    table = np.diag([1000, 90, 30, 0, 3])  # class 3 is labelled nine times and never found; class 2 half
    table[0, 3], table[2, 2], table[0, 2] = 9, 15, 15
    found = long_tail(HistogramSums.of(table), source='pixels')
    assert found['lt_recall_head'] == 1.0 and found['lt_recall_tail'] == 1.0
    assert found['lt_recall_medium'] == pytest.approx((0.5 + 0) / 2) and found['lt_zero_recall'] == 1


def test_pixel_area() -> None:
    assert pixel_area((0.5, 0, 1e6, 0, -0.5, 5e6)) == 250_000
    assert pixel_area((0, 10.0, 0, 10.0, 0, 0)) * 100 == HECTARE  # rotated by 90 degrees: 100 m² a pixel
    with pytest.raises(ValueError, match='degrees'):
        pixel_area((1e-5, 0, 15, 0, -1e-5, 47))
    with pytest.raises(ValueError, match='six numbers'):
        pixel_area((1.0, 0.0))
