"""Everything reported about one class from its two score histograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imbdense.core.metrics.ordered_key import key_to_score
from imbdense.core.metrics.ranking import NAN, auroc_ap_from_hist
from imbdense.core.metrics.ranking_curves import (
    ap_at_prevalence,
    best_f1,
    fpr_at_tpr,
    jackknife_error,
    partial_auroc,
    ranking_curve,
)

Counts = NDArray[np.int64]

METRICS = ('auroc', 'ap', 'fpr95', 'best_f1')
CURVE_POINTS = 200


def summarize_class(
    positives: Counts,
    negatives: Counts,
    *,
    bits: int,
    metrics: Sequence[str] = METRICS,
    exact: bool = False,
    max_fpr: float | None = None,
    prevalence: float | None = None,
    dtype: torch.dtype = torch.float32,
) -> dict[str, float]:
    """Scores of one class; every value is NaN when it has no positives or no negatives.

    Args:
        positives, negatives: int64 histograms (2**bits,) over :func:`ordered_key` of scores of ``dtype``.
        bits: of the key. metrics: of :data:`METRICS`. exact: see :func:`auroc_ap_from_hist`.
        max_fpr: also the standardised partial AUROC up to this false-positive rate (``pauroc``).
        prevalence: also the AP as it would be at this prevalence (``ap_adjusted``).

    Returns:
        ``auroc, auroc_lo, auroc_hi``, ``ap, ap_lo, ap_hi`` (if asked for), ``fpr95``, ``best_f1`` and its
        ``best_threshold``, ``pauroc``, ``ap_adjusted``, and always ``prevalence``.
    """
    all_scores = auroc_ap_from_hist(positives, negatives, exact=exact)
    out = {
        f'{name}{end}': all_scores[f'{name}{end}'] for name in ('auroc', 'ap') if name in metrics for end in ENDS
    } | {'prevalence': all_scores['prevalence']}
    curve = ranking_curve(positives, negatives)
    if 'fpr95' in metrics:
        out['fpr95'] = fpr_at_tpr(curve) if curve else NAN
    if 'best_f1' in metrics:
        value, place = best_f1(curve) if curve else (NAN, 0)
        out['best_f1'] = value
        out['best_threshold'] = float(key_to_score(np.array([place]), bits, dtype)[0]) if curve else NAN
    if max_fpr is not None:
        out['pauroc'] = partial_auroc(curve, max_fpr) if curve else NAN
    if prevalence is not None:
        out['ap_adjusted'] = ap_at_prevalence(curve, prevalence) if curve else NAN
    return out


ENDS = ('', '_lo', '_hi')


def jackknife_errors(block_positives: Counts, block_negatives: Counts) -> dict[str, float]:
    """Standard errors ``auroc_se`` and ``ap_se`` of one class from (J, B) histograms of J blocks of images."""

    def statistic(name: str) -> float:
        return jackknife_error(
            block_positives, block_negatives, lambda hits, misses: auroc_ap_from_hist(hits, misses, exact=True)[name]
        )[0]

    return {'auroc_se': statistic('auroc'), 'ap_se': statistic('ap')}


def drawn_curve(positives: Counts, negatives: Counts) -> dict[str, Any] | None:
    """At most 200 points ``fpr, tpr, precision`` for a plot; ``None`` without positives or negatives."""
    curve = ranking_curve(positives, negatives)
    if curve is None:
        return None
    small = curve.downsample(CURVE_POINTS)
    return {'fpr': small.fpr.tolist(), 'tpr': small.tpr.tolist(), 'precision': small.precision.tolist()}
