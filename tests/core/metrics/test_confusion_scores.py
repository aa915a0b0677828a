"""Scores of a confusion table: a hand example, absent classes, invariances."""

from __future__ import annotations

import math

import numpy as np
import pytest

from imbdense.core.metrics.confusion_scores import confusion_scores

TABLE = np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]])


def test_hand_example() -> None:
    scores = confusion_scores(TABLE)
    np.testing.assert_allclose(scores.iou, [6 / 9, 3 / 6, np.nan])
    np.testing.assert_allclose(scores.dice, [12 / 15, 6 / 9, np.nan])
    np.testing.assert_allclose(scores.precision, [6 / 7, 3 / 5, np.nan])
    np.testing.assert_allclose(scores.recall, [6 / 8, 3 / 4, np.nan])
    means = scores.means()
    assert means['mIoU'] == pytest.approx((6 / 9 + 1 / 2) / 2)
    assert means['mIoU_harmonic'] == pytest.approx(2 / (9 / 6 + 2))
    assert means['worst_IoU'] == 0.5
    assert means['aAcc'] == pytest.approx(9 / 12)
    assert means['fwIoU'] == pytest.approx((8 * 6 / 9 + 4 * 1 / 2) / 12)
    assert means['std_IoU'] == pytest.approx(np.std([6 / 9, 1 / 2]))
    assert scores.absent == [2]
    assert scores.worst_class == 1


def test_absent_but_predicted_class_is_left_out() -> None:
    scores = confusion_scores(np.array([[5, 5], [0, 0]]))
    assert math.isnan(scores.iou[1]) and math.isnan(scores.precision[1])
    assert scores.means()['mIoU'] == 0.5
    assert scores.predicted.tolist() == [5, 5]


def test_present_but_never_found_class_counts_as_zero() -> None:
    scores = confusion_scores(np.array([[9, 0], [1, 0]]))
    assert scores.iou[1] == scores.precision[1] == scores.recall[1] == 0.0
    assert scores.means()['mIoU_harmonic'] == 0.0
    assert scores.worst_class == 1


def test_nothing_counted_is_nan_everywhere() -> None:
    scores = confusion_scores(np.zeros((3, 3), dtype=np.int64))
    assert all(math.isnan(value) for value in scores.means().values())
    assert scores.worst_class is None
    assert scores.absent == [0, 1, 2]


def test_permuting_classes_permutes_scores() -> None:
    table = np.random.default_rng(1).integers(0, 50, (5, 5))
    order = np.array([3, 0, 4, 1, 2])
    np.testing.assert_allclose(confusion_scores(table[order][:, order]).iou, confusion_scores(table).iou[order])
    assert confusion_scores(table * 1000).means() == pytest.approx(confusion_scores(table).means())


def test_bad_tables_are_refused() -> None:
    with pytest.raises(ValueError, match=r'\(C, C\)'):
        confusion_scores(np.zeros((2, 3), dtype=np.int64))
    with pytest.raises(ValueError, match='negative'):
        confusion_scores(np.array([[-1]]))
