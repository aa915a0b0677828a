"""From proposals to trusted objects: score threshold, one row per object, neighbours that agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.core.overlaps import best_of_overlapping
from imbdense.core.selection.feature_rows import FeatureRows
from imbdense.core.selection.knn_verifier import Verdict
from imbdense.core.selection.object_pool import ObjectPool

LOWEST_THRESHOLD, THRESHOLD_STEP = 0.15, 0.05
SAME_OBJECT_IOU = 0.7

Verifier = Callable[..., Verdict]


@dataclass(frozen=True)
class TrustedObjects:
    """The objects that may speak for their image.

    Attributes:
        rows: of the pool, ascending.
        thresholds: (C,) the score threshold of each class in the end.
        filters: name of each filter, in order -> (C,) objects that are left; begins with 'proposals'.
        rescued: (C,) objects that the neighbours contradict, kept because the class would have too few.
        dropped_features: objects of a class whose feature is not finite or zero.
    """

    rows: NDArray[np.int64]
    thresholds: NDArray[np.float64]
    filters: dict[str, NDArray[np.int64]]
    rescued: NDArray[np.int64]
    dropped_features: int

    @property
    def counts(self) -> NDArray[np.int64]:
        """n_c, (C,)."""
        return list(self.filters.values())[-1]

    def agreement(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(C,) objects that the neighbours agree with, and those they were asked about; equal without a verifier."""
        asked = self.filters['duplicates']
        return (self.filters['neighbours'] - self.rescued if 'neighbours' in self.filters else asked), asked


def trusted_objects(
    pool: ObjectPool,
    wanted: int,
    *,
    score_thr: float | Sequence[float] = 0.3,
    adaptive_tau: bool = True,
    verify: Verifier | None = None,
    keep_zero: bool = False,
) -> TrustedObjects:
    """Filter the proposals of a pool.

    1. A known class, and a feature that is finite and not zero.
    2. ``score >= tau_c``; with ``adaptive_tau`` a class that keeps fewer than 2 ``wanted`` lowers its threshold in
       steps of .05 down to .15.
    3. Of boxes of one class and image with an IoU above .7 the best remains.
    4. ``verify``, on what is left; a class that would fall below ``wanted`` keeps its best objects by vote up to that
       number.

    Args:
        pool: the proposals.
        wanted: objects per class that selection would like to have, ceil(budget / C).
        score_thr: one threshold, or one per class.
        verify: called with (features of unit length, classes, C); ``None`` = no third filter.
        keep_zero: keep features that are all zero, which have no direction: nothing for cosines.

    Features are read in chunks. Time: dominated by the verifier.
    """
    num_classes = len(pool.classes)
    named: NDArray[np.int64] = pool.usable_rows[pool.obj_class[pool.usable_rows] >= 0]
    rows: NDArray[np.int64] = named[~bad_features(pool, named, keep_zero)]
    dropped = int((pool.obj_class >= 0).sum()) - len(rows)
    filters = {'proposals': _count(pool, rows, num_classes)}
    thresholds = np.broadcast_to(np.asarray(score_thr, dtype=np.float64), (num_classes,)).copy()
    if adaptive_tau:
        thresholds = lowered_thresholds(pool, rows, thresholds, 2 * wanted)
    # float32 scores against a float64 threshold: 0.3 as a score must pass 0.3.
    rows = rows[pool.obj_score[rows] >= thresholds.astype(np.float32)[pool.obj_class[rows]]]
    filters['score'] = _count(pool, rows, num_classes)
    rows = one_per_object(pool, rows)
    filters['duplicates'] = _count(pool, rows, num_classes)
    rescued: NDArray[np.int64] = np.zeros(num_classes, dtype=np.int64)
    if verify is not None:
        rows, rescued = _verified(pool, rows, verify, wanted)
        filters['neighbours'] = _count(pool, rows, num_classes)
    return TrustedObjects(rows, thresholds, filters, rescued, dropped)


def bad_features(
    pool: ObjectPool, rows: NDArray[np.int64], keep_zero: bool, chunk: int = 16384
) -> NDArray[np.bool_]:
    """(len(rows),) bool, whether the feature is not finite, or all zero; the pool is read chunk by chunk."""
    bad = np.zeros(len(rows), dtype=bool)
    for start in range(0, len(rows), chunk):
        block = np.asarray(pool.obj_feat[rows[start : start + chunk]], dtype=np.float32)
        norm = np.abs(block).max(axis=1, initial=0.0)
        bad[start : start + chunk] = ~np.isfinite(norm) | ((norm == 0) & (not keep_zero))
    return bad


def lowered_thresholds(
    pool: ObjectPool, rows: NDArray[np.int64], thresholds: NDArray[np.float64], enough: int
) -> NDArray[np.float64]:
    """Thresholds of the classes that keep fewer than ``enough`` objects, lowered step by step."""
    lowered = thresholds.copy()
    for klass in range(len(thresholds)):
        scores = pool.obj_score[rows[pool.obj_class[rows] == klass]]
        while (scores >= np.float32(lowered[klass])).sum() < enough and lowered[klass] > LOWEST_THRESHOLD:
            lowered[klass] = max(round(lowered[klass] - THRESHOLD_STEP, 10), LOWEST_THRESHOLD)
    return lowered


def one_per_object(pool: ObjectPool, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Without the boxes that a better one of the same class and image overlaps by more than .7; ties: lowest row."""
    groups = pool.obj_image[rows] * len(pool.classes) + pool.obj_class[rows]
    return rows[best_of_overlapping(pool.obj_box[rows], pool.obj_score[rows], groups, SAME_OBJECT_IOU)]


def _verified(
    pool: ObjectPool, rows: NDArray[np.int64], verify: Verifier, wanted: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(rows whose neighbours agree, or that are needed; (C,) number of the latter)."""
    num_classes = len(pool.classes)
    classes = np.asarray(pool.obj_class[rows])
    verdict = verify(FeatureRows(pool.obj_feat, rows, normalize=True), classes, num_classes)
    keep = verdict.agrees.copy()
    rescued = np.zeros(num_classes, dtype=np.int64)
    for klass in range(num_classes):
        members = np.flatnonzero(classes == klass)
        missing = min(wanted, len(members)) - int(keep[members].sum())
        if missing > 0:
            doubted = members[~keep[members]]
            best = doubted[np.argsort(-verdict.share[doubted], kind='stable')[:missing]]
            keep[best] = True
            rescued[klass] = missing
    return rows[keep], rescued


def _count(pool: ObjectPool, rows: NDArray[np.int64], num_classes: int) -> NDArray[np.int64]:
    """(C,) objects of each class."""
    return np.bincount(pool.obj_class[rows], minlength=num_classes).astype(np.int64)
