"""Scores of change between two point clouds: over the kinds of change, changed or not, and object by object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.core.metrics.confusion_scores import confusion_scores

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PointChangeScores:
    """Scores in [0, 1] from one confusion table whose class 0 is "unchanged"; NaN where undefined.

    Attributes:
        iou, class_recall: (C,) per class.
        mean_change: mean over the kinds of change 1 ... C - 1 (mIoU_ch of the papers on Urb3DCD).
        mean_all: mean over all classes, "unchanged" among them.
        precision, recall, f1: changed (any kind) against unchanged.
        accuracy: share of the points with the right class. mean_recall: mean over all classes (mAcc of the papers).
        truth: (C,) true points.
    """

    iou: NDArray[np.float64]
    class_recall: NDArray[np.float64]
    mean_change: float
    mean_all: float
    precision: float
    recall: float
    f1: float
    accuracy: float
    mean_recall: float
    truth: Counts


def point_change_scores(table: Counts, *, absent: str = 'skip') -> PointChangeScores:
    """Compute the scores of an int64 table (C, C), rows = truth, C >= 2.

    Args:
        absent: what a class without a true point counts: 'skip' nothing (NaN per class); 'zero': its IoU is 0, as in
            the tracker of the Siamese KPConv code. As there, 0 enters ``mean_change`` always, ``mean_all`` where the
            class is predicted, and recalls are those of the present classes in either case.

    Raises:
        ValueError: fewer than two classes, or another ``absent``.
    """
    if absent not in ('skip', 'zero'):
        raise ValueError(f"point_change_scores: absent must be 'skip' or 'zero', but is {absent!r}.")
    if len(table) < 2:
        raise ValueError('point_change_scores: needs "unchanged" (class 0) and at least one kind of change.')
    scores = confusion_scores(table)
    iou = scores.iou
    if absent == 'zero' and scores.present.any():
        iou = np.nan_to_num(iou, nan=0.0)
    hit, false, missed = int(table[1:, 1:].sum()), int(table[0, 1:].sum()), int(table[1:, 0].sum())
    return PointChangeScores(
        iou=iou,
        class_recall=scores.recall,
        mean_change=_mean(iou[1:]),
        mean_all=_mean(iou[scores.truth + scores.predicted > 0]),
        precision=_ratio(hit, hit + false),
        recall=_ratio(hit, hit + missed),
        f1=_ratio(2 * hit, 2 * hit + false + missed),
        accuracy=scores.pixel_accuracy,
        mean_recall=_mean(scores.recall),
        truth=scores.truth,
    )


def detected_objects(
    objects: Counts, truth: Counts, pred: Counts, num_classes: int, *, overlap: float = 0.3
) -> Counts:
    """Return int64 (2, C): objects of change of each class, and how many of them were found.

    An object is what has one number >= 0 in ``objects`` (N,) and one true class >= 1: an instance of which a part is
    labelled with two kinds of change counts once for each. It is found when at least ``overlap`` of its points are
    predicted as that class.
    """
    found = np.zeros((2, num_classes), dtype=np.int64)
    kept = (objects >= 0) & (truth >= 1)
    if not kept.any():
        return found
    pairs, place = np.unique(np.stack([truth[kept], objects[kept]], axis=1), axis=0, return_inverse=True)
    place = place.reshape(-1)
    size = np.bincount(place, minlength=len(pairs))
    right = np.bincount(place, weights=pred[kept] == truth[kept], minlength=len(pairs))
    np.add.at(found[0], pairs[:, 0], 1)
    np.add.at(found[1], pairs[right >= overlap * size, 0], 1)
    return found


def _ratio(numerator: int, denominator: int) -> float:
    """NaN where there is nothing to divide by."""
    return numerator / denominator if denominator else float('nan')


def _mean(values: NDArray[np.float64]) -> float:
    """Mean of what is not NaN."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float('nan')
