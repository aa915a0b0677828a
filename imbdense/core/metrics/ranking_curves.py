"""Operating points and partial areas of a score histogram, and its uncertainty over blocks of images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from imbdense.core.checks import check_number
from imbdense.core.metrics.ranking import NAN, Floats, _descending


@dataclass(frozen=True)
class RankingCurve:
    """Cumulative rates after each occupied bin, highest score first, with the point (0, 0) in front.

    Attributes:
        tpr, fpr: shares of positives / negatives with a score in this bin or above, (K + 1,).
        precision: TP / (TP + FP), 1 at the empty start, (K + 1,).
        bins: index of the bin in the ascending histogram, (K,): the threshold of point k + 1.
    """

    tpr: Floats
    fpr: Floats
    precision: Floats
    bins: NDArray[np.int64]

    def downsample(self, points: int = 200) -> RankingCurve:
        """Keep at most ``points`` points, evenly spread along the arc of the curve, ends included.

        Spread along (tpr, fpr) and precision, not along the index: the interesting part of a rare class is short.
        """
        if self.tpr.size <= points:
            return self
        arc = np.abs(np.diff(self.tpr)) + np.abs(np.diff(self.fpr)) + np.abs(np.diff(self.precision))
        length = np.concatenate([[0.0], np.cumsum(arc)])
        keep = np.searchsorted(length, np.linspace(0.0, length[-1], points))
        keep = np.unique(np.clip(keep, 0, self.tpr.size - 1))
        keep[0], keep[-1] = 0, self.tpr.size - 1
        return RankingCurve(self.tpr[keep], self.fpr[keep], self.precision[keep], self.bins[keep[1:] - 1])


def ranking_curve(positives: ArrayLike, negatives: ArrayLike) -> RankingCurve | None:
    """Return the ROC / precision–recall points of the histograms (B,), or ``None`` without positives or negatives."""
    hits, misses = _descending(positives, negatives)
    total_p, total_n = int(hits.sum()), int(misses.sum())
    if total_p == 0 or total_n == 0:
        return None
    tp, fp = np.cumsum(hits), np.cumsum(misses)
    both = (np.asarray(positives) > 0) | (np.asarray(negatives) > 0)
    return RankingCurve(
        tpr=np.concatenate([[0.0], tp / total_p]),
        fpr=np.concatenate([[0.0], fp / total_n]),
        precision=np.concatenate([[1.0], tp / (tp + fp)]),
        bins=np.flatnonzero(both)[::-1],
    )


def partial_auroc(curve: RankingCurve, max_fpr: float, *, standardize: bool = True) -> float:
    """Area under the ROC curve up to ``max_fpr`` in (0, 1], linear between points.

    ``standardize`` (McClish 1989): 0.5 (1 + (area - min) / (max - min)), with min = max_fpr^2 / 2 the area of chance
    and max = max_fpr; so chance is 0.5 and perfect is 1. Equal to scikit-learn's ``roc_auc_score(max_fpr=...)``.
    """
    check_number('max_fpr', max_fpr, low=0.0, high=1.0, low_open=True, owner='partial_auroc')
    stop = int(np.searchsorted(curve.fpr, max_fpr, side='right'))
    cut = np.interp(max_fpr, curve.fpr[stop - 1 : stop + 1], curve.tpr[stop - 1 : stop + 1])
    area = float(np.trapezoid(np.append(curve.tpr[:stop], cut), np.append(curve.fpr[:stop], max_fpr)))
    if not standardize:
        return area
    lowest = max_fpr**2 / 2
    return 0.5 * (1.0 + (area - lowest) / (max_fpr - lowest)) if max_fpr < 1.0 else area


def fpr_at_tpr(curve: RankingCurve, tpr: float = 0.95) -> float:
    """False-positive rate at the highest threshold that still finds the share ``tpr`` of the positives (fpr95)."""
    reached = np.flatnonzero(curve.tpr >= tpr - 1e-12)
    return float(curve.fpr[reached[0]])


def recall_at_precision(curve: RankingCurve, precision: float) -> float:
    """Highest recall of a threshold whose precision is at least ``precision``; 0 when there is none."""
    reached = curve.precision >= precision
    return float(curve.tpr[reached].max()) if reached.any() else 0.0


def best_f1(curve: RankingCurve) -> tuple[float, int]:
    """Return (highest F1 over all thresholds, its bin in the ascending histogram): F1 = 2 p r / (p + r)."""
    p, r = curve.precision[1:], curve.tpr[1:]
    f1 = np.divide(2 * p * r, p + r, out=np.zeros_like(p), where=(p + r) > 0)
    best = int(np.argmax(f1))
    return float(f1[best]), int(curve.bins[best])


def ap_at_prevalence(curve: RankingCurve, prevalence: float) -> float:
    """Average precision as it would be at another prevalence q, with precision = q TPR / (q TPR + (1 - q) FPR).

    Needed when the evaluated set was enriched with the rare class. ``prevalence`` in (0, 1).
    """
    q = check_number('prevalence', prevalence, low=0.0, high=1.0, low_open=True, owner='ap_at_prevalence')
    tpr, fpr = curve.tpr[1:], curve.fpr[1:]
    flagged = q * tpr + (1.0 - q) * fpr
    precision = np.divide(q * tpr, flagged, out=np.zeros_like(tpr), where=flagged > 0)
    return float(np.sum(np.diff(curve.tpr) * precision))


def jackknife_error(
    block_positives: NDArray[np.int64],
    block_negatives: NDArray[np.int64],
    statistic: Callable[[NDArray[np.int64], NDArray[np.int64]], float],
) -> tuple[float, float]:
    """Standard error of ``statistic(P, N)`` by leaving out one block of images at a time.

    se^2 = (J - 1) / J sum_j (theta_(j) - mean)^2. Pixels of an image are not independent, images are; so blocks of
    whole images are left out, never pixels.

    Args:
        block_positives, block_negatives: int64 (J, B) histograms, one row per block.

    Returns:
        (standard error, half width of the 95 % interval with Student's t on J - 1 degrees of freedom); NaN for both
        when fewer than two blocks hold data, or when a block holds all positives or all negatives.
    """
    used = (block_positives.sum(axis=1) + block_negatives.sum(axis=1)) > 0
    hits, misses = block_positives[used], block_negatives[used]
    blocks = hits.shape[0]
    if blocks < 2:
        return NAN, NAN
    all_hits, all_misses = hits.sum(axis=0), misses.sum(axis=0)
    left_out = np.array([statistic(all_hits - hits[j], all_misses - misses[j]) for j in range(blocks)])
    if np.isnan(left_out).any():
        return NAN, NAN
    error = float(np.sqrt((blocks - 1) / blocks * np.sum((left_out - left_out.mean()) ** 2)))
    return error, float(stdtrit(blocks - 1, 0.975)) * error
