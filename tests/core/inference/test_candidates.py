"""Places kept of a dense head are enough for its ``nms_pre`` under any shift per class; targets of places."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.inference import BoxCandidates, ImageObjects, keep_best_places, row_targets


def best_pairs(logits: np.ndarray, level: np.ndarray, shift: np.ndarray, top: int) -> set[tuple[int, int]]:
    found = set()
    for number in np.unique(level):
        rows = np.flatnonzero(level == number)
        scores = logits[rows] + shift
        order = np.argsort(-scores.reshape(-1), kind='stable')[:top]
        found |= {(int(rows[i // logits.shape[1]]), int(i % logits.shape[1])) for i in order}
    return found


@pytest.mark.parametrize('seed', range(5))
def test_nothing_is_lost_under_any_shift(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, level = rng.normal(size=(300, 4)), np.repeat([0, 1], [200, 100])
    kept = keep_best_places(logits, level, 20, 10**6)
    assert len(kept) < 300
    for _ in range(20):
        shift = rng.normal(size=4) * 5
        assert {row for row, _ in best_pairs(logits, level, shift, 20)} <= set(kept.tolist())


def test_limit_and_all() -> None:
    logits, level = np.random.default_rng(0).normal(size=(50, 2)), np.zeros(50, dtype=int)
    assert keep_best_places(logits, level, -1, 100).tolist() == list(range(50))
    kept = keep_best_places(logits, level, 40, 10)
    assert len(kept) == 10 and {int(logits[:, c].argmax()) for c in range(2)} <= set(kept.tolist())
    assert keep_best_places(logits[:0], level[:0], 5, 10).size == 0


def test_round_trip_and_targets() -> None:
    objects = ImageObjects(np.array([[0, 0, 10, 10], [20, 0, 30, 10]], np.float32), np.array([1, 0]),
                           np.array([False, True]))
    boxes = np.array([[0, 0, 10, 10], [20, 0, 30, 10], [60, 60, 70, 70]], np.float32)
    one = BoxCandidates(boxes, np.zeros((3, 3), np.float32), np.ones(3, np.float32), np.zeros(3, np.int16), boxes[:0],
                        objects, 'image 7')
    assert row_targets(one, boxes, 2).tolist() == [1, -1, 2]  # the object, an ignored one, background
    again = BoxCandidates.from_arrays(one.to_arrays())
    assert again.image_id == 'image 7' and np.array_equal(again.objects.ignored, objects.ignored)
    assert np.array_equal(again.boxes, boxes)
