"""The change class over all thresholds: histograms of its probability, and what follows from them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.metrics.change_states import UNKNOWN
from imbdense.core.metrics.ranking import auroc_ap_from_hist
from imbdense.core.metrics.ranking_curves import best_f1, ranking_curve

BINS = 1024


def change_histogram(probability: Tensor, change: Tensor) -> Tensor:
    """Histogram int64 (2, 1024) of the change probability, row 0 over unchanged pixels and row 1 over changed ones.

    Args:
        probability: floats in [0, 1], any shape; bin = floor(1024 p), the last bin holds p = 1 as well.
        change: uint8 labels of that shape: 0 = unchanged, 255 = ignored, all else is changed.
    """
    bins = (probability.reshape(-1).float() * BINS).to(torch.int32).clamp_(0, BINS - 1)
    label = change.reshape(-1)
    row = (label > 0).to(torch.int32) + (label == UNKNOWN)
    bins.add_(row, alpha=BINS)  # ignored pixels land in a third row
    return torch.bincount(bins, minlength=3 * BINS).view(3, BINS)[:2]


def threshold_scores(histogram: NDArray[np.int64]) -> dict[str, float]:
    """``AP, AP_lo, AP_hi, AUROC, best_F1, best_threshold`` of a histogram (2, bins); NaN without changed or unchanged.

    The average precision of the unbinned probabilities lies in [AP_lo, AP_hi]. ``best_threshold`` is the lower edge of
    the best bin: p >= threshold is change. It was chosen on the pixels it is scored on, so report it for a validation
    set, and never take it from a test set.
    """
    negatives, positives = np.asarray(histogram, dtype=np.int64)
    scores = auroc_ap_from_hist(positives, negatives)
    curve = ranking_curve(positives, negatives)
    top, place = best_f1(curve) if curve is not None else (float('nan'), 0)
    return {
        'AP': scores['ap'],
        'AP_lo': scores['ap_lo'],
        'AP_hi': scores['ap_hi'],
        'AUROC': scores['auroc'],
        'best_F1': top,
        'best_threshold': place / positives.size if curve is not None else float('nan'),
    }
