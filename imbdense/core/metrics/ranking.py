"""AUROC and average precision with exact ties, from score histograms (with rigorous bounds) or from scores in memory.

Definitions as in scikit-learn: equal scores form one step of the curve; average precision is the step-wise sum, never
the trapezoid. AUROC says how well a model ranks over all operating points; average precision weights the top of the
ranking and depends on the prevalence, which is therefore returned beside it (chance level: AUROC 0.5, AP = prevalence).

Source: McDermott et al., "A Closer Look at AUROC and AUPRC under Class Imbalance" (NeurIPS 2024); bounds: ours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import psi

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

NAN = float('nan')
PACK_FROM = 8
"""With more than one positive in this many scores, one sort of packed keys beats looking positives up."""
KEY_OF_INF, KEY_OF_MINUS_INF = 0xFF800000, 0x007FFFFF
NAN_SCORES = 'auroc_ap: scores hold NaN; drop these elements and count them, or find out where they arise.'


def auroc_ap_from_hist(positives: ArrayLike, negatives: ArrayLike, *, exact: bool = False) -> dict[str, float]:
    """AUROC and average precision of one class from the histograms of its positives and negatives.

    With the bins b from high to low, TP0_b and FP0_b the sums over strictly higher bins:

    * AUROC = sum_b P_b (N - FP0_b - N_b + N_b / 2) / (P N)
    * AP = sum_b (P_b / P) (TP0_b + P_b) / (TP0_b + P_b + FP0_b + N_b)

    Inside a bin the order is unknown, so the true value of the unbinned scores lies in [lo, hi]: AUROC between all and
    none of the shared pairs wrong; AP between "negatives of the bin first" and "positives of the bin first, tied".

    Args:
        positives, negatives: int64 counts per bin (B,), bins in ascending order of the score.
        exact: the bins hold exactly one score value each (for example 16-bit scores with 16-bit keys): lo = hi = value.

    Returns:
        ``auroc, auroc_lo, auroc_hi, ap, ap_lo, ap_hi, prevalence, positives, negatives``. Without positives or without
        negatives the six scores are NaN. Sums are taken in int64, ratios in float64; counts up to 9e18.

    Raises:
        ValueError: shapes differ or a count is negative.
    """
    hits, misses = _descending(positives, negatives)
    total_p, total_n = int(hits.sum()), int(misses.sum())
    both = total_p + total_n
    out = {'prevalence': total_p / both if both else NAN, 'positives': float(total_p), 'negatives': float(total_n)}
    if total_p == 0 or total_n == 0:
        return dict.fromkeys(('auroc', 'auroc_lo', 'auroc_hi', 'ap', 'ap_lo', 'ap_hi'), NAN) | out
    tp = np.cumsum(hits)
    fp = np.cumsum(misses)
    share = hits / total_p
    low = float(np.sum(share * ((total_n - fp) / total_n)))
    shared = float(np.sum(share * (misses / total_n)))
    average = float(np.sum(share * (tp / (tp + fp))))
    scores = {'auroc': low + shared / 2, 'ap': average}
    if exact:
        bounds = {'auroc_lo': scores['auroc'], 'auroc_hi': scores['auroc'], 'ap_lo': average, 'ap_hi': average}
    else:
        first = tp - hits
        pessimist = _untied_precision_sum(first, hits, fp) / total_p
        optimist = float(np.sum(share * _ratio(tp, tp + fp - misses)))
        bounds = {'auroc_lo': low, 'auroc_hi': min(low + shared, 1.0), 'ap_lo': pessimist, 'ap_hi': optimist}
    return scores | bounds | out


def auroc_ap(scores: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """Exact AUROC and average precision of scores in memory, ties included (equal to scikit-learn).

    Few positives: positives and negatives are sorted apart (values only: sorting floats is vectorised, ``argsort`` is
    not) and the positives looked up among the negatives. Many positives: one integer sort of (score bits, label).
    O(n log n) time, a few copies of the scores in memory.

    Args:
        scores: float array (n,); float16/32/64. Infinities are allowed.
        labels: bool or 0/1 array (n,).

    Returns:
        As :func:`auroc_ap_from_hist` with lo = hi = value.

    Raises:
        ValueError: shapes differ, labels other than 0 and 1, NaN among the scores.
    """
    values, truth = _check_scores(scores, labels)
    total_p = int(np.count_nonzero(truth))
    total_n = values.size - total_p
    if total_p == 0 or total_n == 0:
        return auroc_ap_from_hist([total_p], [total_n], exact=True)
    pack = values.dtype.itemsize <= 4 and total_p * PACK_FROM > values.size
    count, at_least, above = (_steps_by_packing if pack else _steps_by_lookup)(values, truth)
    tp = total_p - (np.cumsum(count) - count)
    auroc = 1.0 - float(np.sum(count * (at_least + above))) / (2.0 * total_p * total_n)
    average = float(np.sum(count * (tp / (tp + at_least)))) / total_p
    return {
        'auroc': auroc, 'auroc_lo': auroc, 'auroc_hi': auroc, 'ap': average, 'ap_lo': average, 'ap_hi': average,
        'prevalence': total_p / values.size, 'positives': float(total_p), 'negatives': float(total_n),
    }  # fmt: skip


def _steps_by_lookup(values: NDArray[Any], truth: NDArray[np.bool_]) -> tuple[Counts, Counts, Counts]:
    """Per distinct positive score, ascending: how many positives have it, negatives at least as high, and higher."""
    hits, misses = np.sort(values[truth]), np.sort(values[~truth])
    if np.isnan(hits[-1]) or np.isnan(misses[-1]):  # NaN sorts to the end
        raise ValueError(NAN_SCORES)
    start = np.flatnonzero(np.concatenate([[True], hits[1:] != hits[:-1]]))
    distinct = hits[start]
    at_least = misses.size - np.searchsorted(misses, distinct, side='left')
    above = misses.size - np.searchsorted(misses, distinct, side='right')
    return np.diff(start, append=hits.size), at_least, above


def _steps_by_packing(values: NDArray[Any], truth: NDArray[np.bool_]) -> tuple[Counts, Counts, Counts]:
    """The same from one integer sort of (score bits, label); for scores of at most 32 bits and many positives.

    The label is the lowest bit, so the negatives of a tie come before its positives.
    """
    word = (values.astype(np.float32, copy=False) + np.float32(0.0)).view(np.int32)
    word ^= (word >> 31) | np.int32(-(2**31))
    packed = word.view(np.uint32).astype(np.uint64)
    packed <<= np.uint64(1)
    packed |= truth
    packed.sort()
    if packed[-1] >> np.uint64(1) > KEY_OF_INF or packed[0] >> np.uint64(1) < KEY_OF_MINUS_INF:
        raise ValueError(NAN_SCORES)
    place = np.flatnonzero(packed & np.uint64(1))
    keys = packed[place]
    start = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    place, keys = place[start], keys[start]
    total_n = packed.size - truth.sum()
    above = total_n - (place - start)  # before the first positive of a score: lower scores and tied negatives
    at_least = above.copy()
    tied = np.flatnonzero((place > 0) & (packed[place - 1] == keys - np.uint64(1)))
    at_least[tied] += place[tied] - np.searchsorted(packed, keys[tied] - np.uint64(1))
    return np.diff(start, append=truth.sum()), at_least, above


def _untied_precision_sum(tp_before: Counts, hits: Counts, fp: Counts) -> float:
    """sum_b sum_{j=1..P_b} (TP0 + j) / (TP0 + j + F), closed form P_b - F (psi(x + P_b) - psi(x)), x = TP0 + F + 1."""
    filled = hits > 0
    count = hits[filled].astype(np.float64)
    false = fp[filled].astype(np.float64)
    start = tp_before[filled] + false + 1.0
    return float(np.sum(count - false * _psi_difference(start, count)))


def _psi_difference(x: Floats, step: Floats) -> Floats:
    """psi(x + step) - psi(x), for large x from the asymptotic series (the plain difference would cancel)."""
    end = x + step
    out = psi(end) - psi(x)
    large = x >= 30.0
    a, b = x[large], end[large]
    series = np.log1p(step[large] / a) + step[large] / (2.0 * a * b)
    for power, factor in ((2, 1 / 12), (4, -1 / 120), (6, 1 / 252)):
        series += factor * (a**-power - b**-power)
    out[large] = series
    return out


def _descending(positives: ArrayLike, negatives: ArrayLike) -> tuple[Counts, Counts]:
    """Non-empty bins, highest score first, as int64."""
    hits, misses = np.asarray(positives, dtype=np.int64), np.asarray(negatives, dtype=np.int64)
    if hits.ndim != 1 or hits.shape != misses.shape:
        raise ValueError(f'histograms must both have shape (B,), but have {hits.shape} and {misses.shape}.')
    if hits.size and (hits.min() < 0 or misses.min() < 0):
        raise ValueError('histograms must not hold negative counts; a counter overflowed.')
    filled = np.flatnonzero((hits > 0) | (misses > 0))[::-1]
    return hits[filled], misses[filled]


def _ratio(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """Quotient with 0 where the denominator is 0."""
    top, bottom = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


def _check_scores(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Flat float scores and boolean labels of one length."""
    values, truth = np.asarray(scores).ravel(), np.asarray(labels).ravel()
    if values.shape != truth.shape:
        raise ValueError(f'auroc_ap: {values.size} scores but {truth.size} labels.')
    if values.dtype.kind != 'f':
        raise ValueError(f'auroc_ap: scores must be floats, but are {values.dtype}.')
    if truth.dtype != np.bool_:
        if truth.size and not (truth.min() >= 0 and truth.max() <= 1 and truth.dtype.kind in 'iu'):
            raise ValueError('auroc_ap: labels must be bool or integers 0 and 1.')
        truth = truth.astype(bool)
    return values, truth
