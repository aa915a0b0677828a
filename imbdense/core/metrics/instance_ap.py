"""Average precision of point instances by ScanNet's protocol: match per scene, then one curve per class.

Dai et al., "ScanNet: Richly-annotated 3D Reconstructions of Indoor Scenes", CVPR 2017, and the benchmark's evaluation
of instances; Chen et al., "STPLS3D", BMVC 2022, evaluate aerial scenes with the same rules and regions of at least 10
points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

THRESHOLDS: Floats = np.append(np.arange(0.5, 0.95, 0.05), 0.25)
"""IoU .5, .55, ... .9, and .25 as the last. The benchmark's ``arange(.5, .95, .05)`` ends before .95, so its AP is the
mean over nine thresholds, where COCO's has ten. The binary fractions are those of the benchmark too: .65 is
0.6500000000000001, and the comparison is strict."""

MatchedScores = tuple[Floats, NDArray[np.bool_]]
"""Scores (n,) and whether each is a true positive (n,), of one class at one threshold."""


@dataclass(frozen=True)
class SceneInstances:
    """The objects of one scene, each by its points.

    Attributes:
        truth_class, truth_size: (G,) class and points of every true object, ordered by (class, id).
        pred_class, pred_size: (K,) of every prediction that is large enough, in the order they were given.
        score: (K,) confidence. shared: (K, G) points that a prediction and a true object of any class have in common.
        void: (K,) points of each prediction that belong to no true object of an evaluated class.
    """

    truth_class: Counts
    truth_size: Counts
    pred_class: Counts
    pred_size: Counts
    score: Floats
    shared: Counts
    void: Counts


@dataclass(frozen=True)
class ClassMatches:
    """What one scene says about one class.

    Attributes:
        objects: true objects of at least ``min_region`` points. predictions: of at least as many.
        missed: (T,) objects without any match, per IoU threshold.
        found: per threshold the scores that enter the curve and which of them are true positives.
    """

    objects: int
    predictions: int
    missed: Counts
    found: tuple[MatchedScores, ...]


def scene_instances(
    semantic: ArrayLike,
    instance: ArrayLike,
    points: Sequence[NDArray[np.int64]],
    labels: ArrayLike,
    scores: ArrayLike,
    classes: Sequence[int],
    min_region: int = 10,
) -> SceneInstances:
    """Count the points of all objects of a scene and of what they share.

    A true object is all points with one class of ``classes`` and one instance id; ids begin anew in every class. (The
    benchmark writes class · 1000 + id into one number, so its 1000th object becomes one of the next class; here ids
    have no limit.) Points with the instance or the class −1, or a class that is not evaluated, are void.

    Args:
        semantic, instance: (N,) integers, −1 = ignored / no object.
        points: indices of the points of each of K predicted objects; they may overlap. See :func:`points_of_masks` and
            :func:`points_of_map`. labels: (K,) classes. scores: (K,) confidences.
        classes: the evaluated ones; predictions of others are left out. min_region: smaller predictions are left out.

    Raises:
        ValueError: lengths do not fit, or a score is NaN.
    """
    semantic, instance = np.asarray(semantic, np.int64).ravel(), np.asarray(instance, np.int64).ravel()
    labels, scores = np.asarray(labels, np.int64).ravel(), np.asarray(scores, np.float64).ravel()
    if instance.size != semantic.size:
        raise ValueError(f'scene_instances: semantic has {semantic.size} points, but instance {instance.size}.')
    if not len(points) == labels.size == scores.size:
        raise ValueError(f'scene_instances: {len(points)} objects but {labels.size} labels and {scores.size} scores.')
    if np.isnan(scores).any():
        raise ValueError(f'scene_instances: score {int(np.flatnonzero(np.isnan(scores))[0])} is NaN.')
    known = np.isin(semantic, np.asarray(classes)) & (instance >= 0)
    pairs, place = np.unique(np.stack((semantic[known], instance[known])), axis=1, return_inverse=True)
    objects = pairs.shape[1]
    of_point = np.full(semantic.size, objects)
    of_point[known] = place.ravel()
    sizes = np.array([len(index) for index in points], np.int64)
    kept = np.flatnonzero((sizes >= max(min_region, 1)) & np.isin(labels, np.asarray(classes)))
    shared = np.zeros((len(kept), objects + 1), np.int64)
    for row, index in enumerate(kept):
        shared[row] = np.bincount(of_point[points[index]], minlength=objects + 1)
    return SceneInstances(
        pairs[0], np.bincount(place.ravel(), minlength=objects), labels[kept], sizes[kept], scores[kept],
        shared[:, :objects], shared[:, objects],
    )  # fmt: skip


def points_of_masks(masks: ArrayLike, num_points: int) -> list[NDArray[np.int64]]:
    """Indices of the points of each row of ``masks`` (K, N).

    Raises:
        ValueError: the masks speak about another number of points.
    """
    table = np.asarray(masks, bool)
    if table.size and (table.ndim != 2 or table.shape[1] != num_points):
        raise ValueError(f'masks must be (K, {num_points}), one column per point, but are {table.shape}.')
    return [np.flatnonzero(row) for row in table] if table.size else []


def points_of_map(instance: ArrayLike) -> list[NDArray[np.int64]]:
    """Indices of the points of each object of an instance map (N,) by ascending id; −1 (any negative) is no object."""
    ids = np.asarray(instance, np.int64).ravel()
    order = np.argsort(ids, kind='stable')
    order = order[np.count_nonzero(ids < 0) :]
    if not order.size:
        return []
    return np.split(order, np.flatnonzero(np.diff(ids[order])) + 1)


def match_instances(
    scene: SceneInstances, label: int, min_region: int = 10, thresholds: Floats = THRESHOLDS
) -> ClassMatches:
    """Match predictions of class ``label`` to true objects, greedily in the order of the objects.

    For every object of at least ``min_region`` points, in the order of their ids: each prediction of the class, in the
    given order, that is not taken and whose IoU is strictly above the threshold. The first is taken; of several the
    highest score counts as the true positive and the others as false ones (but for the first they stay free for other
    objects, as in the benchmark's code). A prediction without any such object is a false positive, unless its share of
    void and of too small objects is above the threshold.
    """
    truth, pred = np.flatnonzero(scene.truth_class == label), np.flatnonzero(scene.pred_class == label)
    size, shared = scene.truth_size[truth], scene.shared[np.ix_(pred, truth)]
    large = size >= min_region
    iou = shared / np.maximum(size[None] + scene.pred_size[pred][:, None] - shared, 1)
    ignored = scene.void[pred] + shared[:, ~large].sum(axis=1)
    ignored_share = ignored / np.maximum(scene.pred_size[pred], 1)
    score, missed, found = scene.score[pred], np.zeros(len(thresholds), np.int64), []
    for number, threshold in enumerate(thresholds.tolist()):
        over = iou > threshold
        best, lost = _greedy(over[:, large], score)
        missed[number] = np.count_nonzero(large) - len(best)
        false = score[~over.any(axis=1) & (ignored_share <= threshold)]
        values = np.concatenate((best, lost, false))
        found.append((values, np.arange(len(values)) < len(best)))
    return ClassMatches(int(large.sum()), len(pred), missed, tuple(found))


def _greedy(over: NDArray[np.bool_], score: Floats) -> tuple[Floats, Floats]:
    """Scores of the matched objects, and those of the second matches, of which predictions x objects may meet."""
    taken = np.zeros(len(score), bool)
    best: list[float] = []
    lost: list[float] = []
    for column in range(over.shape[1]):
        rows = np.flatnonzero(over[:, column] & ~taken)
        if not rows.size:
            continue
        taken[rows[0]] = True
        top = score[rows[0]]
        for value in score[rows[1:]]:
            lost.append(min(top, value))
            top = max(top, value)
        best.append(top)
    return np.array(best, np.float64), np.array(lost, np.float64)


def instance_average_precision(scores: ArrayLike, positive: ArrayLike, missed: int) -> float:
    """Area under the precision–recall curve of one class at one threshold.

    Equal scores are one point of the curve. The area is Σ P_i (R_{i−1} − R_{i+1}) / 2 over the points by ascending
    score, with the added point P = 1, R = 0 and R_{−1} = R_0, as the benchmark integrates; no interpolation.

    Args:
        scores: (n,). positive: (n,) whether it is a true positive. missed: objects that no prediction found.

    Returns:
        In [0, 1]; 0 without any score, NaN when there is neither a positive nor a missed object.
    """
    values, hit = np.asarray(scores, np.float64), np.asarray(positive, bool)
    objects = int(hit.sum()) + int(missed)
    if objects == 0:
        return float('nan')
    order = np.argsort(values, kind='stable')
    first = np.unique(values[order], return_index=True)[1]
    below = np.append(0, np.cumsum(hit[order]))[first]
    true = int(hit.sum()) - below
    precision = np.append(true / (values.size - first), 1.0)
    recall = np.append(true / objects, 0.0)
    around = np.concatenate((recall[:1], recall, [0.0]))
    return float(precision @ (around[:-2] - around[2:]) / 2)


def average_precision_table(
    scenes: Sequence[Mapping[int, ClassMatches]], num_classes: int, thresholds: Floats = THRESHOLDS
) -> Floats:
    """AP (C, T) of every class and threshold over all scenes; NaN for a class without objects.

    Args:
        scenes: class -> matches of each scene, in the order of the data set; a scene may leave classes out.
    """
    table = np.full((num_classes, len(thresholds)), np.nan)
    for label in range(num_classes):
        parts = [scene[label] for scene in scenes if label in scene]
        if not any(part.objects for part in parts):
            continue
        for number in range(len(thresholds)):
            values = np.concatenate([part.found[number][0] for part in parts])
            hits = np.concatenate([part.found[number][1] for part in parts])
            missed = sum(int(part.missed[number]) for part in parts)
            table[label, number] = instance_average_precision(values, hits, missed)
    return table
