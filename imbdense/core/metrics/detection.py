"""Summaries of a finished COCO evaluation: nothing is matched here, matches and precision tables are only condensed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def average_precision(precision: ArrayLike, *, iou_index: int | None = None, area: int = 0) -> Floats:
    """AP per class from COCO's precision table (T, R, K, A, M): mean over thresholds and recall points.

    Entries of -1 mean "this class has no ground truth"; such classes are NaN. ``iou_index`` picks one IoU threshold
    (AP50: 0), ``area`` one size range (0 = all). The last entry of M (most detections) is used.
    """
    table = np.asarray(precision, dtype=np.float64)[:, :, :, area, -1]
    if iou_index is not None:
        table = table[iou_index : iou_index + 1]
    return _mean_valid(table, axes=(0, 1))


def average_recall(recall: ArrayLike, *, area: int = 0) -> Floats:
    """AR per class from COCO's recall table (T, K, A, M): mean over thresholds; NaN without ground truth."""
    return _mean_valid(np.asarray(recall, dtype=np.float64)[:, :, area, -1], axes=(0,))


def recall_at_false_positives(
    scores: ArrayLike,
    matched: ArrayLike,
    num_gt: int,
    num_images: int,
    rates: Sequence[float],
) -> Floats:
    """Recall of one class at the loosest threshold with at most ``rate`` false positives per image (FROC points).

    Args:
        scores: detection scores (n,). matched: bool (n,), whether each detection was matched to an object.
        num_gt: objects of the class that count. num_images: evaluated images (also those without the class).
        rates: allowed false positives per image.

    Returns:
        (len(rates),), NaN when ``num_gt`` is 0. Detections with equal scores are taken together, so the result does
        not depend on their order.
    """
    if num_gt == 0:
        return np.full(len(rates), np.nan)
    values, hit = np.asarray(scores, dtype=np.float64), np.asarray(matched, dtype=bool)
    order = np.argsort(-values, kind='stable')
    values, hit = values[order], hit[order]
    end_of_tie = np.flatnonzero(np.append(values[1:] != values[:-1], True)) if values.size else np.zeros(0, dtype=int)
    found = np.cumsum(hit)[end_of_tie]
    false = np.cumsum(~hit)[end_of_tie]
    recalls = np.concatenate([[0.0], found / num_gt])
    allowed = np.searchsorted(false, np.asarray(rates, dtype=np.float64) * num_images + 1e-9, side='right')
    out: Floats = recalls[allowed]
    return out


def _mean_valid(table: Floats, axes: tuple[int, ...]) -> Floats:
    """Mean over ``axes`` of the entries > -1; NaN where there is none."""
    valid = table > -1
    count = valid.sum(axis=axes)
    total = np.where(valid, table, 0.0).sum(axis=axes)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
