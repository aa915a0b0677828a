"""Summaries of detections: recall at false positives per image, averages of COCO tables."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.metrics.detection import average_precision, average_recall, recall_at_false_positives

SCORES = [0.9, 0.8, 0.7, 0.6, 0.5]
MATCHED = [True, False, True, False, True]


def test_recall_at_false_positives_by_hand() -> None:
    # 2 images, 4 objects: one object before the first false positive, two before the second, three at the end
    recall = recall_at_false_positives(SCORES, MATCHED, 4, 2, (0.0, 0.25, 0.5, 1.0, 8.0))
    np.testing.assert_allclose(recall, [0.25, 0.25, 0.5, 0.75, 0.75])


def test_ties_are_taken_together_whatever_their_order() -> None:
    tied = [0.5, 0.5, 0.4]
    for matched in ([True, False, True], [False, True, True]):
        np.testing.assert_allclose(recall_at_false_positives(tied, matched, 2, 1, (0.0, 1.0)), [0.0, 1.0])


def test_no_objects_and_no_detections() -> None:
    assert np.isnan(recall_at_false_positives([0.5], [False], 0, 1, (1.0,))).all()
    np.testing.assert_allclose(recall_at_false_positives([], [], 3, 1, (0.0, 1.0)), [0.0, 0.0])


def test_averages_leave_classes_without_objects_out() -> None:
    precision = np.full((2, 3, 2, 1, 1), -1.0)
    precision[:, :, 0] = np.array([[1.0, 0.5, 0.0], [0.5, 0.25, 0.0]])[:, :, None, None]
    ap = average_precision(precision)
    assert ap[0] == pytest.approx(2.25 / 6) and np.isnan(ap[1])
    assert average_precision(precision, iou_index=0)[0] == pytest.approx(0.5)
    recall = np.full((2, 2, 1, 1), -1.0)
    recall[:, 0] = np.array([0.6, 0.2])[:, None, None]
    assert average_recall(recall)[0] == pytest.approx(0.4) and np.isnan(average_recall(recall)[1])
