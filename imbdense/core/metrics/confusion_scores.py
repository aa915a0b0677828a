"""Scores of a confusion table: per class, and the averages that do not hide a rare class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ConfusionScores:
    """Per-class scores in [0, 1]; NaN for a class without a single true pixel ("absent").

    Attributes:
        iou: TP / (TP + FP + FN). dice: 2 TP / (2 TP + FP + FN).
        precision: TP / (TP + FP), 0 for a present class that is never predicted. recall: TP / (TP + FN).
        truth: true pixels per class, int64. predicted: predicted pixels per class, int64.
        pixel_accuracy: sum TP / all counted pixels; NaN when nothing was counted.
    """

    iou: Floats
    dice: Floats
    precision: Floats
    recall: Floats
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    pixel_accuracy: float

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which classes have at least one true pixel (C,)."""
        return self.truth > 0

    @property
    def absent(self) -> list[int]:
        """Indices of the classes left out of every mean."""
        return np.flatnonzero(~self.present).tolist()

    def means(self) -> dict[str, float]:
        """Aggregates over the present classes, each NaN when no class is present.

        ``mIoU, mDice, mPrecision, mRecall``: arithmetic means. ``mIoU_harmonic``: harmonic mean of IoU (0 as soon as
        one class is 0). ``worst_IoU``: the lowest IoU. ``std_IoU``: population standard deviation. ``fwIoU``: IoU
        weighted by true pixels. ``aAcc``: pixel accuracy.
        """
        iou = self.iou[self.present]
        if iou.size == 0:
            names = ('mIoU', 'mDice', 'mPrecision', 'mRecall', 'mIoU_harmonic', 'worst_IoU', 'std_IoU', 'fwIoU', 'aAcc')
            return dict.fromkeys(names, float('nan'))
        weight = self.truth[self.present].astype(np.float64)
        return {
            'mIoU': float(iou.mean()),
            'mDice': float(self.dice[self.present].mean()),
            'mPrecision': float(self.precision[self.present].mean()),
            'mRecall': float(self.recall[self.present].mean()),
            'mIoU_harmonic': float(iou.size / np.sum(1.0 / iou)) if iou.min() > 0 else 0.0,
            'worst_IoU': float(iou.min()),
            'std_IoU': float(iou.std()),
            'fwIoU': float(np.sum(weight * iou) / weight.sum()),
            'aAcc': self.pixel_accuracy,
        }

    @property
    def worst_class(self) -> int | None:
        """Index of the present class with the lowest IoU (the rarer one when tied); ``None`` without classes."""
        if not self.present.any():
            return None
        candidates = np.flatnonzero(self.present)
        order = np.lexsort((self.truth[candidates], self.iou[candidates]))
        return int(candidates[order[0]])


def confusion_scores(table: NDArray[Any]) -> ConfusionScores:
    """Compute the scores of an int64 confusion table (C, C), rows = truth, columns = prediction.

    A class without true pixels scores NaN everywhere even when it is predicted somewhere: its false positives already
    lower the IoU of the classes they cover, and it has nothing that could be found. (mmseg's IoUMetric gives such a
    class IoU 0.)

    Raises:
        ValueError: ``table`` is not square or has negative entries.
    """
    counts = np.asarray(table, dtype=np.int64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f'confusion_scores: table must be (C, C), but is {counts.shape}.')
    if counts.size and int(counts.min()) < 0:
        raise ValueError('confusion_scores: table has negative entries; counts overflowed or were subtracted twice.')
    hit = np.diag(counts)
    truth, predicted = counts.sum(axis=1), counts.sum(axis=0)
    total = int(truth.sum())
    precision = _ratio(hit, predicted)
    precision[(predicted == 0) & (truth > 0)] = 0.0
    return ConfusionScores(
        iou=_only_present(_ratio(hit, truth + predicted - hit), truth),
        dice=_only_present(_ratio(2 * hit, truth + predicted), truth),
        precision=_only_present(precision, truth),
        recall=_ratio(hit, truth),
        truth=truth,
        predicted=predicted,
        pixel_accuracy=int(hit.sum()) / total if total else float('nan'),
    )


def _ratio(numerator: NDArray[np.int64], denominator: NDArray[np.int64]) -> Floats:
    """Divide counts; NaN where there is nothing to divide by."""
    out = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=out, where=denominator > 0)
    return out


def _only_present(values: Floats, truth: NDArray[np.int64]) -> Floats:
    """NaN for absent classes."""
    return np.where(truth > 0, values, np.nan)
