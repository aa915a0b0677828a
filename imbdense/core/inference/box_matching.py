"""Matching detections to objects by COCO's rule, all IoU thresholds at once, and average precision from the matches.

Matches of one image do not depend on other images, so they are made once and summed over any set of images: what
cross-validation over images needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.int8]
IOU_THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10, dtype=np.float64)
RECALL_POINTS: Floats = np.linspace(0.0, 1.0, 101, dtype=np.float64)
FALSE, TRUE, IGNORED = 0, 1, -1


def match_boxes(
    overlaps: Floats, ignored: NDArray[np.bool_], thresholds: Floats = IOU_THRESHOLDS
) -> Flags:
    """Match the detections of one class and image, best score first.

    Each detection takes the free object it overlaps most, at least by the threshold; objects go before ignored ones
    (crowd, difficult), which absorb any number of detections.

    Args:
        overlaps: (D, G) IoU, rows by falling score. ignored: (G,).
        thresholds: (T,).

    Returns:
        (T, D): TRUE matched, FALSE false alarm, IGNORED on an ignored object.
    """
    found, objects = overlaps.shape
    flags = np.zeros((len(thresholds), found), dtype=np.int8)
    if objects == 0 or found == 0:
        return flags
    real, soft = overlaps[:, ~ignored], overlaps[:, ignored]
    absorbed = soft.max(axis=1) if soft.shape[1] else np.full(found, -1.0)
    for level, limit in enumerate(np.minimum(thresholds, 1 - 1e-10)):
        free = np.ones(real.shape[1], dtype=bool)
        # Only detections that reach the threshold with any object can match: mostly very few.
        for row in np.flatnonzero((real >= limit).any(axis=1)) if real.shape[1] else ():
            candidates = np.where(free, real[row], -1.0)
            best = int(candidates.size - 1 - candidates[::-1].argmax())  # of equal overlaps the last, as COCO
            if candidates[best] >= limit:
                free[best] = False
                flags[level, row] = TRUE
        flags[level, (flags[level] == FALSE) & (absorbed >= limit)] = IGNORED
    return flags


@dataclass(frozen=True)
class ClassMatches:
    """Detections of one class over many images.

    Attributes:
        scores: (D,) of all images. flags: (T, D) of :func:`match_boxes`. image: (D,) which image each is of.
        objects: (images,) objects of the class on every image that are not ignored.
    """

    scores: Floats
    flags: Flags
    image: NDArray[np.int64]
    objects: NDArray[np.int64]

    def average_precision(self, images: NDArray[np.bool_] | None = None) -> Floats:
        """(T,) AP over the chosen images (bool mask), NaN without an object there."""
        if images is None:
            return average_precision(self.scores, self.flags, int(self.objects.sum()))
        keep = images[self.image]
        return average_precision(self.scores[keep], self.flags[:, keep], int(self.objects[images].sum()))


def average_precision(scores: ArrayLike, flags: Flags, objects: int) -> Floats:
    """COCO's AP of one class per IoU threshold: precision, made falling, at 101 recall points.

    Args:
        scores: (D,), any order. Equal scores keep their order, as in COCO. flags: (T, D). objects: number of objects.

    Returns:
        (T,) in [0, 1]; NaN when there is no object, 0 without a detection.
    """
    if objects == 0:
        return np.full(len(flags), np.nan)
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind='stable')
    out = np.zeros(len(flags))
    for level, row in enumerate(flags[:, order]):
        hits = np.cumsum(row == TRUE)
        alarms = np.cumsum(row == FALSE)
        if hits.size == 0 or hits[-1] == 0:
            continue
        precision = hits / np.maximum(hits + alarms, 1)
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        place = np.searchsorted(hits / objects, RECALL_POINTS, side='left')
        inside = place < precision.size
        out[level] = float(precision[place[inside]].sum()) / RECALL_POINTS.size
    return out
