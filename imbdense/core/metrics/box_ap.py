"""Average precision and recall of boxes from their overlaps alone, at one IoU threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbdense.core.checks import check_number

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BoxAP:
    """Result of :func:`box_ap`: AP and the recall of all detections, both in [0, 1], NaN without an object."""

    ap: float
    recall: float
    num_gt: int


def box_ap(frames: Sequence[tuple[ArrayLike, ArrayLike]], min_overlap: float) -> BoxAP:
    """Return the area under the precision-recall curve of one class.

    In each scene detections by falling score take the free object they overlap most, if by at least ``min_overlap``;
    the rest are false alarms. Precision is made to fall with recall, and integrated exactly (all points, as Pascal VOC
    since 2010). Scores of different scenes are ranked together; of equal ones the earlier scene comes first.

    Args:
        frames: (overlaps (D, G), scores (D,)) of each scene.
        min_overlap: in (0, 1].
    """
    check_number('min_overlap', min_overlap, low=0.0, high=1.0, low_open=True, owner='box_ap')
    tables = [(np.asarray(table, dtype=np.float64), np.asarray(scores, np.float64)) for table, scores in frames]
    num_gt = sum(table.shape[1] for table, _ in tables)
    if num_gt == 0:
        return BoxAP(float('nan'), float('nan'), 0)
    hits = np.concatenate([np.zeros(0, bool), *(_matched(table, scores, min_overlap) for table, scores in tables)])
    order = np.argsort(-np.concatenate([np.zeros(0), *(scores for _, scores in tables)]), kind='stable')
    found = np.cumsum(hits[order])
    precision = np.maximum.accumulate((found / np.arange(1, found.size + 1))[::-1])[::-1]
    recall = found / num_gt
    ap = float((precision * np.diff(recall, prepend=0.0)).sum())
    return BoxAP(ap, float(recall[-1]) if recall.size else 0.0, num_gt)


def _matched(table: Floats, scores: Floats, min_overlap: float) -> NDArray[np.bool_]:
    """(D,): the detection found an object."""
    hit, free = np.zeros(scores.size, dtype=bool), np.ones(table.shape[1], dtype=bool)
    for det in np.argsort(-scores, kind='stable') if free.size else ():
        left = np.where(free, table[det], -1.0)
        best = int(left.argmax())
        if left[best] >= min_overlap:
            hit[det], free[best] = True, False
    return hit
