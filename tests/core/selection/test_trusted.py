"""From proposals to trusted objects, filter by filter."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.selection import KNNVerifier
from imbdense.core.selection.trusted import lowered_thresholds, one_per_object, trusted_objects
from tests.core.selection.small_pools import small_pool
from tests.helpers.synthetic_pool import synthetic_pool


def test_the_score_threshold_is_inclusive_and_may_differ_by_class() -> None:
    objects = [(i, i % 2, [1.0, float(i)]) for i in range(6)]
    pool = small_pool(objects, 6, 2, scores=[0.3, 0.3, 0.29, 0.29, 0.9, 0.6])
    assert trusted_objects(pool, 0, adaptive_tau=False).rows.tolist() == [0, 1, 4, 5]
    strict = trusted_objects(pool, 0, adaptive_tau=False, score_thr=[0.3, 0.6])
    assert strict.rows.tolist() == [0, 4, 5]


@pytest.mark.parametrize(('enough', 'threshold'), [(1, 0.3), (2, 0.25), (3, 0.2), (4, 0.15), (9, 0.15)])
def test_thresholds_fall_step_by_step(enough: int, threshold: float) -> None:
    scores = [0.5, 0.26, 0.2, 0.15, 0.14]
    pool = small_pool([(i, 0, 1.0) for i in range(5)], 5, 1, scores=scores)
    lowered = lowered_thresholds(pool, np.arange(5), np.array([0.3]), enough)
    assert lowered == pytest.approx([threshold])


def test_a_threshold_below_the_floor_stays() -> None:
    pool = small_pool([(0, 0, 1.0)], 1, 1, scores=[0.01])
    assert lowered_thresholds(pool, np.arange(1), np.array([0.05]), 5) == pytest.approx([0.05])


def test_one_row_per_object() -> None:
    """Two boxes on one object; the same box in another class and in another image; a neighbour that overlaps little."""
    near, far = [0, 0, 10, 10], [8, 0, 18, 10]
    boxes = np.array([near, [0, 0, 10, 11], near, far, near], np.float32)
    objects = [(0, 0, 1.0), (0, 0, 1.0), (0, 1, 1.0), (0, 0, 1.0), (1, 0, 1.0)]
    pool = small_pool(objects, 2, 2, scores=[0.5, 0.9, 0.4, 0.4, 0.4], obj_box=boxes)
    assert one_per_object(pool, np.arange(5)).tolist() == [1, 2, 3, 4]


def test_suppression_against_a_loop() -> None:
    from imbdense.core.overlaps import box_iou

    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 12, (60, 2))
    boxes = np.concatenate([corner, corner + 10], axis=1).astype(np.float32)
    scores = rng.random(60).round(1)  # ties
    pool = small_pool([(0, 0, 1.0)] * 60, 1, 1, scores=scores.tolist(), obj_box=boxes)
    kept: list[int] = []
    for i in sorted(range(60), key=lambda i: (-np.float32(scores[i]), i)):
        if not kept or box_iou(boxes[i : i + 1], boxes[kept]).max() <= 0.7:
            kept.append(i)
    assert 10 < len(kept) < 60 and one_per_object(pool, np.arange(60)).tolist() == sorted(kept)


def test_a_class_that_would_get_too_small_keeps_its_best_by_vote() -> None:
    """Two objects of class 1 among many of class 0: all neighbours contradict both, but two are wanted."""
    objects = [(i, 0, [1.0, 0.01 * i]) for i in range(20)] + [(20, 1, [1.0, 0.05]), (21, 1, [1.0, 0.1])]
    pool = small_pool(objects, 22, 2)
    lost = trusted_objects(pool, 0, verify=KNNVerifier())
    assert lost.counts.tolist() == [20, 0] and lost.rescued.tolist() == [0, 0]
    one = trusted_objects(pool, 1, verify=KNNVerifier())
    assert one.counts.tolist() == [20, 1] and one.rescued.tolist() == [0, 1]
    both = trusted_objects(pool, 5, verify=KNNVerifier())
    assert both.counts.tolist() == [20, 2]


def test_unknown_classes_and_bad_features() -> None:
    objects = [(0, -1, [1.0, 1.0]), (0, 0, [np.nan, 1.0]), (0, 0, [0.0, 0.0]), (1, 0, [1.0, 2.0])]
    found = trusted_objects(small_pool(objects, 2, 1), 1, verify=KNNVerifier())
    assert found.rows.tolist() == [3] and found.dropped_features == 2


def test_the_verifier_raises_the_precision_of_the_tail() -> None:
    drawn = synthetic_pool(0, missed=0.25, wrong=0.1)
    truth = np.full(drawn.pool.num_objects, -1)
    truth[drawn.row[drawn.row >= 0]] = drawn.klass[drawn.row >= 0]
    tail = drawn.pool.obj_class >= 15
    right = truth == drawn.pool.obj_class
    before = right[tail].mean()
    rows = trusted_objects(drawn.pool, 2, verify=KNNVerifier()).rows
    after = right[rows][tail[rows]].mean()
    assert before < 0.8 and after > 0.98
