"""Average precision of KITTI: recall-sampled (R40, R11), with detections and objects that count neither way.

Geiger et al.: Are we ready for Autonomous Driving? The KITTI Vision Benchmark Suite. CVPR 2012; 40 recall points:
Simonelli et al.: Disentangling Monocular 3D Object Detection. ICCV 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbdense.core.checks import check_number

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
POINTS = 41
"""Recalls 0, 1/40, ..., 1 at which precision is looked up."""
DIFFICULTIES = ('easy', 'moderate', 'hard')
MIN_HEIGHT, MAX_OCCLUSION, MAX_TRUNCATION = (40.0, 25.0, 25.0), (0, 1, 2), (0.15, 0.3, 0.5)
"""Of easy, moderate and hard objects: height in the image (pixels), occlusion level, truncated share."""


@dataclass(frozen=True)
class KittiFrame:
    """One class in one scene.

    Attributes:
        overlaps: (D, G) IoU of the D detections of the class with the G objects, from above or in space.
        scores: (D,).
        det_ignored: (D,) bool, detections too small to count; they may find an object, but are no false alarm.
        gt_ignored: (G,) bool, objects that need not be found and may be: harder ones, and those of a class that is
            easily taken for this one (van for car, person sitting for pedestrian).
    """

    overlaps: Floats
    scores: Floats
    det_ignored: Bools
    gt_ignored: Bools


@dataclass(frozen=True)
class KittiAP:
    """Result of :func:`kitti_ap`.

    Attributes:
        r40, r11: AP in [0, 1]: the mean precision at recall 1/40, ..., 1 and at 0, .1, ..., 1. NaN without an object.
        precision: (41,) at recall 0, 1/40, ..., 1, each the best at that recall or higher; 0 beyond what is reached.
        num_gt: objects that count.
    """

    r40: float
    r11: float
    precision: Floats
    num_gt: int


def kitti_ap(frames: Sequence[KittiFrame], min_overlap: float) -> KittiAP:
    """Return the AP of one class at one difficulty.

    1. Every object in order takes the free detection with the highest *score* among those that overlap it by more than
       ``min_overlap``. The scores of the pairs that count, sorted, give thresholds: one for each recall 1/40, 2/40, ...
    2. At each threshold every object takes the free detection of at least that score with the largest *overlap*, one
       that counts before one that is ignored. Pairs of two that count are hits. What is free and counts is a false
       alarm. Precision is hits / (hits + false alarms).

    That objects, not detections, choose, and twice by another rule, is KITTI's; so is that an ignored object may take
    a detection away from one that counts and comes later.

    Args:
        frames: one per scene, also those with nothing in them.
        min_overlap: in [0, 1); KITTI: .7 for cars, .5 for pedestrians and cyclists.

    Edge cases: no object that counts gives NaN, no detection 0. Not symmetric in the order of objects (see above).
    """
    check_number('min_overlap', min_overlap, low=0.0, high=1.0, owner='kitti_ap')
    num_gt = sum(int((~frame.gt_ignored).sum()) for frame in frames)
    precision = np.zeros(POINTS)
    if num_gt == 0:
        return KittiAP(float('nan'), float('nan'), precision, 0)
    found = np.concatenate([np.zeros(0), *(_found_scores(frame, min_overlap) for frame in frames)])
    thresholds = recall_thresholds(found, num_gt)
    if thresholds.size:
        counts = sum(_hits_and_false_alarms(frame, min_overlap, thresholds) for frame in frames)
        hits, alarms = np.asarray(counts, dtype=np.float64)
        precision[: thresholds.size] = hits / np.maximum(hits + alarms, 1)
        precision[:] = np.maximum.accumulate(precision[::-1])[::-1]
    return KittiAP(float(precision[1:].mean()), float(precision[::4].mean()), precision, num_gt)


def recall_thresholds(scores: ArrayLike, num_gt: int, points: int = POINTS) -> Floats:
    """Return the falling scores at which recall comes nearest to 0, 1/40, 2/40, ..., (<= 41,).

    Args:
        scores: of the objects found. num_gt: objects that count; > 0.
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64))[::-1]
    chosen: list[float] = []
    wanted = 0.0
    for index, score in enumerate(ordered.tolist()):
        last = index == ordered.size - 1
        here, following = (index + 1) / num_gt, (index + 2) / num_gt
        if not last and following - wanted < wanted - here:
            continue
        chosen.append(score)
        wanted += 1 / (points - 1)
    return np.array(chosen[:points])


def kitti_difficulty(heights: ArrayLike, occlusion: ArrayLike, truncation: ArrayLike) -> NDArray[np.int64]:
    """Return the easiest level of each object, (G,) int64: 0 easy, 1 moderate, 2 hard, 3 beyond.

    Args:
        heights: (G,) of the box in the image, pixels; must be above 40, 25, 25.
        occlusion: (G,) 0 to 3; at most 0, 1, 2. truncation: (G,) in [0, 1]; at most .15, .3, .5.
    """
    level = np.full(np.shape(heights), 3, dtype=np.int64)
    for number in (2, 1, 0):
        fits = np.asarray(heights, dtype=np.float64) > MIN_HEIGHT[number]
        fits &= (np.asarray(occlusion) <= MAX_OCCLUSION[number]) & (np.asarray(truncation) <= MAX_TRUNCATION[number])
        level[fits] = number
    return level


def _found_scores(frame: KittiFrame, min_overlap: float) -> Floats:
    """Scores of the pairs of step 1 that count."""
    free = np.ones(frame.scores.size, dtype=bool)
    found = []
    for gt in range(frame.gt_ignored.size):
        candidates = np.flatnonzero(free & (frame.overlaps[:, gt] > min_overlap))
        if candidates.size == 0:
            continue
        best = candidates[frame.scores[candidates].argmax()]
        free[best] = False
        if not frame.gt_ignored[gt] and not frame.det_ignored[best]:
            found.append(frame.scores[best])
    return np.array(found, dtype=np.float64)


def _hits_and_false_alarms(frame: KittiFrame, min_overlap: float, thresholds: Floats) -> NDArray[np.int64]:
    """(2, T): step 2 at all T thresholds at once."""
    enough = frame.scores[None] >= thresholds[:, None]
    free = enough.copy()
    hits = np.zeros(thresholds.size, dtype=np.int64)
    if frame.scores.size == 0:
        return np.stack([hits, hits])
    rows = np.arange(thresholds.size)
    for gt in range(frame.gt_ignored.size):
        overlap = frame.overlaps[:, gt]
        near = overlap > min_overlap
        if not near.any():
            continue
        # Counting detections by overlap (in [0, 1]); ignored ones come after all of them, the first one first.
        rank = np.where(near, np.where(frame.det_ignored, -1.0, overlap), -np.inf)
        table = np.where(free, rank[None], -np.inf)
        best = table.argmax(axis=1)
        taken = table[rows, best] > -np.inf
        free[rows[taken], best[taken]] = False
        if not frame.gt_ignored[gt]:
            hits += taken & ~frame.det_ignored[best]
    alarms = (free & ~frame.det_ignored[None]).sum(axis=1)
    return np.stack([hits, alarms])
