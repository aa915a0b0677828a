"""AP of point instances: a hand example, equality with a slow re-telling of ScanNet's protocol, its odd corners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from imbdense.core.metrics.instance_ap import (
    THRESHOLDS,
    average_precision_table,
    instance_average_precision,
    match_instances,
    points_of_map,
    points_of_masks,
    scene_instances,
)

CLASSES = (1, 2, 3)
Scene = dict[str, Any]


def random_scene(rng: np.random.Generator, points: int = 400) -> Scene:
    """Runs of points as objects, some tiny; predictions shifted, doubled, merged, over void, with tied scores."""
    cuts = np.sort(rng.choice(points, 14, replace=False))
    instance = np.searchsorted(cuts, np.arange(points), side='right')
    semantic = rng.choice((0, 1, 1, 2, 3), 15)[instance]  # 0 is no evaluated class
    instance[rng.random(points) < 0.05] = -1
    semantic[rng.random(points) < 0.03] = -1
    masks, labels = [], []
    for _ in range(20):
        start, length = rng.integers(0, points - 20), rng.integers(5, 60)
        mask = np.zeros(points, bool)
        if rng.random() < 0.7:  # near a true object
            target = rng.integers(0, 15)
            mask |= (instance == target) & (rng.random(points) < 0.9)
            mask |= np.roll(mask, rng.integers(0, 4))
        else:
            mask[start : start + length] = True
        held = semantic[mask & (semantic >= 0)]
        labels.append(int(held[0]) if held.size and rng.random() < 0.8 else int(rng.integers(0, 5)))
        masks.append(mask)
    scores = rng.choice(np.linspace(0, 1, 8), 20)
    return dict(semantic=semantic, instance=instance, masks=np.array(masks), labels=np.array(labels), scores=scores)


def slow_ap(scenes: Sequence[Scene], label: int, threshold: float, min_region: int) -> float:
    """One class at one threshold, object by object and score by score."""
    entries: list[tuple[float, bool]] = []
    missed, objects, predicted = 0, 0, 0
    for scene in scenes:
        code = np.where(scene['instance'] < 0, -1, scene['semantic'] * 1000 + scene['instance'] + 1)
        code[scene['semantic'] < 0] = -1
        void = ~np.isin(code // 1000, CLASSES)
        truth = [set(np.flatnonzero(code == c)) for c in np.unique(code) if c // 1000 == label]
        preds = [
            (set(np.flatnonzero(mask)), score)
            for mask, name, score in zip(scene['masks'], scene['labels'], scene['scores'])
            if name == label and mask.sum() >= min_region
        ]
        iou = [[len(p & t) / len(p | t) for t in truth] for p, _ in preds]
        visited: set[int] = set()
        predicted += len(preds)
        for t, points in enumerate(truth):
            if len(points) < min_region:
                continue
            objects += 1
            current = None
            for p, (_, score) in enumerate(preds):
                if p in visited or not iou[p][t] > threshold:
                    continue
                if current is None:
                    visited.add(p)
                    current = score
                else:
                    entries.append((min(current, score), False))
                    current = max(current, score)
            if current is None:
                missed += 1
            else:
                entries.append((current, True))
        for p, (points, score) in enumerate(preds):
            if any(value > threshold for value in iou[p]):
                continue
            ignored = sum(void[i] for i in points)
            ignored += sum(len(points & t) for t in truth if len(t) < min_region)
            if ignored / len(points) <= threshold:
                entries.append((score, False))
    if not objects:
        return float('nan')
    curve = []
    for cut in sorted({score for score, _ in entries}):
        kept = [hit for score, hit in entries if score >= cut]
        curve.append((sum(kept) / len(kept), sum(kept) / objects))
    curve.append((1.0, 0.0))
    recalls = [curve[0][1]] + [r for _, r in curve] + [0.0]
    return sum(p * (recalls[i] - recalls[i + 2]) / 2 for i, (p, _) in enumerate(curve))


def fast_table(scenes: Sequence[Scene], min_region: int) -> np.ndarray:
    found = []
    for s in scenes:
        points = points_of_masks(s['masks'], len(s['semantic']))
        scene = scene_instances(s['semantic'], s['instance'], points, s['labels'], s['scores'], CLASSES, min_region)
        found.append({label: match_instances(scene, label, min_region) for label in CLASSES})
    return average_precision_table(found, 4)


@pytest.mark.parametrize('min_region', [1, 10, 30])
@pytest.mark.parametrize('seed', range(4))
def test_equals_the_slow_protocol(seed: int, min_region: int) -> None:
    rng = np.random.default_rng(seed)
    scenes = [random_scene(rng) for _ in range(4)]
    table = fast_table(scenes, min_region)
    for label in CLASSES:
        slow = [slow_ap(scenes, label, threshold, min_region) for threshold in THRESHOLDS]
        np.testing.assert_allclose(table[label], slow, rtol=0, atol=1e-12)
    assert np.isnan(table[0]).all()
    assert ((table[1:] > 0) & (table[1:] < 1)).any()


def test_nine_thresholds_and_a_quarter() -> None:
    np.testing.assert_allclose(THRESHOLDS, [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.25])


def test_hand_example() -> None:
    """Two cars of 20 points; the first found exactly (.9), a false alarm on other known points (.8), the second missed.

    Curve by ascending score: at .8 P = 1/2, R = 1/2; at .9 P = 1, R = 1/2; end P = 1, R = 0.
    AP = .5 · (.5 − .5)/2 + 1 · (.5 − 0)/2 + 1 · (.5 − 0)/2 = .5.
    """
    semantic = np.repeat([1, 1, 2], 20)
    instance = np.repeat([0, 1, 0], 20)
    points = [np.arange(20), np.arange(40, 60)]
    scene = scene_instances(semantic, instance, points, [1, 1], [0.9, 0.8], CLASSES)
    table = average_precision_table([{label: match_instances(scene, label) for label in CLASSES}], 4)
    np.testing.assert_allclose(table[1], 0.5)
    assert (table[2] == 0).all()  # a house, no prediction of a house
    assert np.isnan(table[3]).all()


def test_strictly_above_the_threshold() -> None:
    """10 of 20 points is IoU .5 exactly: no match at .5, one at .25."""
    scene = scene_instances(np.ones(20), np.zeros(20), [np.arange(10)], [1], [1.0], CLASSES)
    found = match_instances(scene, 1)
    assert found.missed[0] == 1 and found.missed[-1] == 0


def test_prediction_on_void_is_no_false_alarm() -> None:
    semantic = np.repeat([1, -1], 20)
    instance = np.repeat([0, -1], 20)
    points = [np.arange(20), np.arange(20, 40)]
    scene = scene_instances(semantic, instance, points, [1, 1], [0.5, 0.9], CLASSES)
    assert [hits.tolist() for _, hits in match_instances(scene, 1).found] == [[True]] * 10


def test_second_match_is_a_false_alarm_with_the_lower_score() -> None:
    points = [np.arange(20), np.arange(19)]
    scene = scene_instances(np.ones(20), np.zeros(20), points, [1, 1], [0.3, 0.7], CLASSES)
    values, hits = match_instances(scene, 1).found[0]
    assert values.tolist() == [0.7, 0.3] and hits.tolist() == [True, False]


def test_more_than_a_thousand_objects_stay_in_their_class() -> None:
    """class · 1000 + id would make objects of class 2 out of the last of class 1."""
    instance = np.repeat(np.arange(1200), 10)
    scene = scene_instances(np.ones(12000), instance, points_of_map(instance), np.ones(1200), np.ones(1200), CLASSES)
    assert len(scene.truth_class) == 1200 and set(scene.truth_class) == {1}
    assert match_instances(scene, 1).missed.sum() == 0


def test_invariant_to_the_order_of_points_and_of_scenes() -> None:
    rng = np.random.default_rng(3)
    scenes = [random_scene(rng) for _ in range(3)]
    moved = []
    for s in reversed(scenes):
        order = rng.permutation(len(s['semantic']))
        moved.append({**s, 'semantic': s['semantic'][order], 'instance': s['instance'][order],
                      'masks': s['masks'][:, order]})  # fmt: skip
    np.testing.assert_allclose(fast_table(scenes, 10), fast_table(moved, 10), atol=1e-12)


def test_empty_corners() -> None:
    empty = scene_instances([], [], [], [], [], CLASSES)
    assert np.isnan(average_precision_table([{1: match_instances(empty, 1)}], 4)).all()
    assert np.isnan(average_precision_table([], 2)).all()
    assert instance_average_precision([], [], 3) == 0
    assert np.isnan(instance_average_precision([0.4], [False], 0))
    assert points_of_map([-1, -1]) == [] and points_of_masks(np.zeros((0, 5)), 5) == []
    assert [p.tolist() for p in points_of_map([4, -1, 2, 4])] == [[2], [0, 3]]


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match='5 points, but instance 4'):
        scene_instances(np.ones(5), np.ones(4), [], [], [], CLASSES)
    with pytest.raises(ValueError, match='1 objects but 2 labels'):
        scene_instances(np.ones(5), np.ones(5), [np.arange(5)], [1, 2], [1.0], CLASSES)
    with pytest.raises(ValueError, match='score 0 is NaN'):
        scene_instances(np.ones(5), np.ones(5), [np.arange(5)], [1], [np.nan], CLASSES)
    with pytest.raises(ValueError, match=r'masks must be \(K, 5\)'):
        points_of_masks(np.ones((2, 4)), 5)
