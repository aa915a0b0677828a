"""One-number descriptions of how imbalanced a vector of class counts is."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def class_prior(counts: ArrayLike, *, empty_class: float = 1.0) -> NDArray[np.float64]:
    """pi_c = n_c / sum(n) as float64 (C,); a class that never occurs is counted ``empty_class`` times (default one).

    So log(pi) stays finite. Raises ``ValueError`` for negative, non-finite or all-zero counts.
    """
    values = _counts(counts)
    values = np.where(values == 0, empty_class, values)
    return values / values.sum()


def imbalance_ratio(counts: ArrayLike) -> float:
    """max(n) / min(n over classes that occur). 1 = balanced. Classes without a sample are left out."""
    values = _counts(counts)
    present = values[values > 0]
    return float(present.max() / present.min())


def gini(counts: ArrayLike) -> float:
    """Gini coefficient G = (K + 1 - 2 * sum_i cum_i / cum_K) / K over ascending counts.

    0 = balanced, (K - 1) / K = everything in one class.

    Example: counts (1, 1, 1, 1) give 0, counts (0, 0, 0, 1) give .75.
    """
    values = np.sort(_counts(counts))
    cumulative = np.cumsum(values)
    return float((values.size + 1 - 2 * (cumulative / cumulative[-1]).sum()) / values.size)


def effective_number(counts: ArrayLike) -> float:
    """exp(H(pi)), the number of equally frequent classes of the same Shannon entropy (Hill number of order 1)."""
    return float(np.exp(_entropy(counts)))


def shannon_evenness(counts: ArrayLike) -> float:
    """Pielou evenness H(pi) / log(C) in [0, 1]; 1 = balanced. One class: 1 by definition."""
    size = _counts(counts).size
    return 1.0 if size == 1 else float(_entropy(counts) / np.log(size))


def imbalance_indices(counts: ArrayLike) -> dict[str, float]:
    """All indices of this module by name: imbalance_ratio, gini, effective_number, shannon_evenness."""
    return {
        'imbalance_ratio': imbalance_ratio(counts),
        'gini': gini(counts),
        'effective_number': effective_number(counts),
        'shannon_evenness': shannon_evenness(counts),
    }


def _entropy(counts: ArrayLike) -> float:
    """Shannon entropy in nats; absent classes add nothing."""
    values = _counts(counts)
    shares = values[values > 0] / values.sum()
    return float(-(shares * np.log(shares)).sum())


def _counts(counts: ArrayLike) -> NDArray[np.float64]:
    """Validate a vector of class counts."""
    values = np.asarray(counts, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all() or (values < 0).any() or values.sum() == 0:
        raise ValueError(
            f'class counts must be a non-empty vector of finite numbers >= 0 with a positive sum, but got {values}.'
        )
    return values
