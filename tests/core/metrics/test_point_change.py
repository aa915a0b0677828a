"""Scores of change between clouds: by hand, absent classes, objects."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.metrics.point_change import detected_objects, point_change_scores

TABLE = np.array([[90, 4, 0, 1], [2, 6, 2, 0], [0, 0, 0, 0], [3, 0, 0, 7]])


def test_by_hand() -> None:
    scores = point_change_scores(TABLE)
    assert scores.iou[[0, 1, 3]] == pytest.approx([90 / 100, 6 / 14, 7 / 11]) and np.isnan(scores.iou[2])
    assert scores.mean_change == pytest.approx((6 / 14 + 7 / 11) / 2)
    assert scores.mean_all == pytest.approx((0.9 + 6 / 14 + 7 / 11) / 3)
    assert (scores.precision, scores.recall) == pytest.approx((15 / 20, 15 / 20))  # which kind does not matter
    assert scores.f1 == pytest.approx(0.75) and scores.accuracy == pytest.approx(103 / 115)
    assert scores.mean_recall == pytest.approx((90 / 95 + 0.6 + 0.7) / 3)


def test_absent_class_counts_nothing_or_zero() -> None:
    zero = point_change_scores(TABLE, absent='zero')
    assert zero.mean_change == pytest.approx((6 / 14 + 7 / 11) / 3) and zero.iou[2] == 0
    assert zero.mean_all == pytest.approx((0.9 + 6 / 14 + 7 / 11) / 4)  # it is predicted twice
    assert zero.mean_recall == pytest.approx((90 / 95 + 0.6 + 0.7) / 3) and np.isnan(zero.class_recall[2])
    unseen = point_change_scores(TABLE * (np.arange(4) != 2), absent='zero')
    assert unseen.mean_change == pytest.approx((6 / 12 + 7 / 11) / 3)
    assert unseen.mean_all == pytest.approx((0.9 + 6 / 12 + 7 / 11) / 3)  # the tracker leaves it out of this mean
    nothing = point_change_scores(np.zeros((3, 3), dtype=np.int64), absent='zero')
    assert np.isnan(nothing.mean_all) and np.isnan(nothing.f1)
    with pytest.raises(ValueError, match='absent'):
        point_change_scores(TABLE, absent='one')
    with pytest.raises(ValueError, match='at least one kind'):
        point_change_scores(np.ones((1, 1), dtype=np.int64))


def test_objects() -> None:
    objects = np.array([0] * 10 + [1] * 10 + [2] * 10 + [-1] * 5)
    truth = np.array([1] * 10 + [2] * 10 + [0] * 10 + [1] * 5)  # object 2 did not change, the last five are of none
    pred = np.array([1] * 3 + [0] * 7 + [1] * 8 + [2] * 2 + [0] * 15)
    assert detected_objects(objects, truth, pred, 3).tolist() == [[0, 1, 1], [0, 1, 0]]
    assert detected_objects(objects, truth, pred, 3, overlap=0.2).tolist() == [[0, 1, 1], [0, 1, 1]]
    truth[5:10] = 2  # one thing, two kinds of change: two objects
    assert detected_objects(objects, truth, pred, 3).tolist() == [[0, 1, 2], [0, 1, 0]]
    assert detected_objects(objects, truth * 0, pred, 3).sum() == 0
