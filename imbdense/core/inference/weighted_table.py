"""Confusion tables of a weighted sample of pixels, and the means over classes that are read off them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
OBJECTIVES: tuple[str, ...] = ('mIoU', 'mRecall')


def weighted_confusion(
    pred: NDArray[np.integer], target: NDArray[np.integer], weight: Floats, num_classes: int
) -> Floats:
    """(C, C) sums of weights, rows = truth, columns = prediction.

    With the weight of a pixel = pixels of its class in its image / sampled pixels of that class and image, every entry
    is an unbiased estimate of the count of all pixels, and every row sum is exact.
    """
    place = target.astype(np.int64) * num_classes + pred.astype(np.int64)
    table = np.bincount(place, weights=weight, minlength=num_classes * num_classes)
    return np.asarray(table, dtype=np.float64).reshape(num_classes, num_classes)


def table_iou(table: Floats) -> Floats:
    """IoU per class, NaN for a class without truth, over the last two axes of (..., C, C)."""
    hit = np.diagonal(table, axis1=-2, axis2=-1)
    truth, predicted = table.sum(axis=-1), table.sum(axis=-2)
    union = truth + predicted - hit
    return np.where(truth > 0, hit / np.where(union > 0, union, 1.0), np.nan)


def table_recall(table: Floats) -> Floats:
    """Recall per class, NaN for a class without truth, over the last two axes of (..., C, C)."""
    truth = table.sum(axis=-1)
    return np.where(truth > 0, np.diagonal(table, axis1=-2, axis2=-1) / np.where(truth > 0, truth, 1.0), np.nan)


def table_score(table: Floats, objective: str = 'mIoU') -> float:
    """Mean of the IoU ('mIoU') or recall ('mRecall') over the classes that occur; NaN for an empty table."""
    values = table_iou(table) if objective == 'mIoU' else table_recall(table)
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float('nan')
