"""KITTI's AP: a hand example, the rules written as plain loops, difficulties; AP at one threshold."""

from __future__ import annotations

import math

import numpy as np
import pytest

from imbdense.core.metrics.box_ap import box_ap
from imbdense.core.metrics.kitti_ap import KittiFrame, kitti_ap, kitti_difficulty, recall_thresholds


def frame(overlaps: list[list[float]], scores: list[float], det: list[int], gt: list[int]) -> KittiFrame:
    table = np.array(overlaps, dtype=np.float64).reshape(len(scores), len(gt))
    return KittiFrame(table, np.array(scores, dtype=np.float64), np.array(det, bool), np.array(gt, bool))


def random_frames(seed: int, count: int = 25) -> list[KittiFrame]:
    """Scenes with ties, ignored objects and detections, and some without either."""
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(count):
        dets, gts = rng.integers(0, 7), rng.integers(0, 5)
        table = rng.choice([0, 0, 0.3, 0.55, 0.8, 0.9], (dets, gts))
        scores = rng.integers(1, 20, dets) / 20
        frames.append(KittiFrame(table, scores, rng.random(dets) < 0.2, rng.random(gts) < 0.3))
    return frames


def slow_pass(one: KittiFrame, limit: float, threshold: float, final: bool) -> tuple[list[float], int]:
    """The objects of a scene choose, one after the other: (scores of what counts, false alarms)."""
    taken: set[int] = set()
    found = []
    for gt in range(len(one.gt_ignored)):
        choice = None
        for det in range(len(one.scores)):
            if det in taken or one.overlaps[det, gt] <= limit or (final and one.scores[det] < threshold):
                continue
            if choice is None:
                choice = det
            elif not final:
                choice = det if one.scores[det] > one.scores[choice] else choice
            elif not one.det_ignored[det]:
                better = one.det_ignored[choice] or one.overlaps[det, gt] > one.overlaps[choice, gt]
                choice = det if better else choice
        if choice is not None:
            taken.add(choice)
            if not one.gt_ignored[gt] and not one.det_ignored[choice]:
                found.append(float(one.scores[choice]))
    free = [det for det in range(len(one.scores)) if det not in taken and not one.det_ignored[det]]
    return found, sum(1 for det in free if one.scores[det] >= threshold)


def slow_ap(frames: list[KittiFrame], limit: float) -> tuple[float, float]:
    total = sum(int((~one.gt_ignored).sum()) for one in frames)
    scores = sorted((s for one in frames for s in slow_pass(one, limit, 0, False)[0]), reverse=True)
    chosen, wanted = [], 0.0
    for i, score in enumerate(scores):
        nearer_later = i < len(scores) - 1 and (i + 2) / total - wanted < wanted - (i + 1) / total
        if not nearer_later:
            chosen.append(score)
            wanted += 1 / 40
    values = [0.0] * 41
    for i, threshold in enumerate(chosen):
        passes = [slow_pass(one, limit, threshold, True) for one in frames]
        hits, alarms = sum(len(p[0]) for p in passes), sum(p[1] for p in passes)
        values[i] = hits / max(hits + alarms, 1)
    values = [max(values[i:]) for i in range(41)]
    return sum(values[1:]) / 40, sum(values[0::4]) / 11


@pytest.mark.parametrize('seed', range(8))
@pytest.mark.parametrize('limit', [0.5, 0.7])
def test_equals_the_rules_as_loops(seed: int, limit: float) -> None:
    frames = random_frames(seed)
    found = kitti_ap(frames, limit)
    assert (found.r40, found.r11) == pytest.approx(slow_ap(frames, limit), abs=1e-12)
    assert found.num_gt == sum(int((~one.gt_ignored).sum()) for one in frames) and 0 < found.r40 < 1


def test_hand_example() -> None:
    """Two objects, one found, one false alarm below it: precision 1 up to recall 1/2, then nothing."""
    found = kitti_ap([frame([[0.8, 0], [0, 0.2]], [0.9, 0.4], [0, 0], [0, 0])], 0.7)
    assert found.precision.tolist() == [1.0] + [0.0] * 40  # a single threshold, since one object was found
    assert (found.r40, found.r11) == (0.0, pytest.approx(1 / 11))
    frames = [frame([[0.8]], [1 - i / 100], [0], [0]) for i in range(40)]
    assert kitti_ap(frames, 0.7).r40 == pytest.approx(39 / 40)  # 40 thresholds are recall 0 to 39/40
    many = [frame([[0.8]], [1 - i / 1000], [0], [0]) for i in range(400)]
    assert kitti_ap(many, 0.7).r40 == kitti_ap(many, 0.7).r11 == 1.0


def test_what_is_ignored_counts_neither_way() -> None:
    """A detection on an ignored object, or too small itself, is no false alarm; the object need not be found."""
    objects = [frame([[0.9]], [0.5], [0], [0]) for _ in range(50)]
    plain = kitti_ap(objects, 0.7)
    harmless = [frame([[0.9]], [0.9], [0], [1]), frame([], [0.9], [1], []), frame([], [], [], [1])]
    assert kitti_ap([*objects, *harmless], 0.7).r40 == plain.r40 == 1.0
    alarms = [frame([], [0.9], [0], [])] * 50
    assert kitti_ap([*objects, *alarms], 0.7).r40 == pytest.approx(0.5)


def test_edges() -> None:
    assert math.isnan(kitti_ap([], 0.5).r40) and math.isnan(kitti_ap([frame([], [0.3], [0], [])], 0.5).r11)
    assert kitti_ap([frame([], [], [], [0])], 0.5).r40 == 0.0
    assert kitti_ap([frame([[0.5]], [0.9], [0], [0])], 0.5).r11 == 0.0, 'the overlap must be above'
    assert recall_thresholds([], 3).size == 0
    with pytest.raises(ValueError, match='min_overlap'):
        kitti_ap([], 1.5)


def test_difficulty() -> None:
    heights, occlusion, truncation = [41, 40, 26, 25, 60, 60, 60], [0, 0, 1, 0, 2, 3, 0], [0, 0, 0, 0, 0.4, 0, 0.6]
    assert kitti_difficulty(heights, occlusion, truncation).tolist() == [0, 1, 1, 3, 2, 3, 3]


def test_box_ap() -> None:
    """Hits at ranks 1 and 3 of three detections, two objects: 1/2 + 1/2 * 2/3."""
    once = box_ap([([[0.9, 0], [0.6, 0]], [0.9, 0.7])], 0.5)  # the second finds the same object
    assert (once.ap, once.recall, once.num_gt) == (0.5, 0.5, 2)
    found = box_ap([([[0.9]], [0.9]), (np.zeros((1, 0)), [0.8]), ([[0.5]], [0.7])], 0.5)
    assert (found.ap, found.recall, found.num_gt) == (pytest.approx(0.5 + 0.5 * 2 / 3), 1.0, 2)
    assert math.isnan(box_ap([(np.zeros((1, 0)), [0.8])], 0.5).ap)
    none = box_ap([(np.zeros((0, 2)), [])], 0.5)
    assert (none.ap, none.recall) == (0.0, 0.0)
