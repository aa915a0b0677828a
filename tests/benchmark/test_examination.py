"""Injected false boxes."""

from __future__ import annotations

import numpy as np

from imbdense.benchmark.examination import with_false_boxes
from imbdense.core.overlaps import box_iou


def test_three_of_ten_are_false_and_overlap_nothing() -> None:
    rng = np.random.default_rng(0)
    true = np.array([[10, 10, 30, 30], [60, 60, 90, 90], [20, 80, 40, 100]], np.float64)
    numbers = np.zeros(2)
    for _ in range(300):
        boxes, labels, real = with_false_boxes(rng, true, np.array([0, 2, 1]), classes=3)
        numbers += [real.sum(), (~real).sum()]
        assert np.diag(box_iou(boxes[real], true)).min() > 0.6 and labels[real].tolist() == [0, 2, 1]
        assert box_iou(boxes[~real], true).max(initial=0) < 0.1
        assert boxes[~real].min(initial=0) >= 0 and boxes[~real].max(initial=0) <= 128
        assert set(labels[~real]) <= {0, 1, 2}
    assert abs(numbers[1] / numbers.sum() - 0.3) < 0.03
