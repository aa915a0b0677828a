"""Temperature scaling: one number that makes the probabilities of a finished model mean what they say."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

Floats = NDArray[np.float64]
LOWEST, HIGHEST = 0.02, 50.0


def negative_log_likelihood(
    logits: NDArray[np.floating],
    target: NDArray[np.integer],
    weight: Floats | None = None,
    *,
    temperature: float = 1.0,
    use_sigmoid: bool = False,
) -> float:
    """Weighted mean of -log p(target) at z / T.

    Args:
        logits: (n, K). target: (n,) index in [0, K); sigmoid form: the value K means "no class" (all zeros), and the
            binary cross-entropies of the K classes are summed.
        weight: (n,) >= 0; ``None`` = 1.

    Returns:
        The mean; NaN for no element or a weight sum of 0.
    """
    values = np.asarray(logits, dtype=np.float64) / temperature
    if values.shape[0] == 0:
        return math.nan
    share = np.ones(len(values)) if weight is None else np.asarray(weight, dtype=np.float64)
    if share.sum() <= 0:
        return math.nan
    rows = np.arange(len(values))
    if use_sigmoid:
        loss = np.logaddexp(0.0, values).sum(axis=1)
        real = target < values.shape[1]
        loss[real] -= values[rows[real], target[real]]
    else:
        top = values.max(axis=1, keepdims=True)
        loss = np.log(np.exp(values - top).sum(axis=1)) + top[:, 0] - values[rows, target]
    return float((share * loss).sum() / share.sum())


def fit_temperature(
    logits: NDArray[np.floating],
    target: NDArray[np.integer],
    weight: Floats | None = None,
    *,
    use_sigmoid: bool = False,
) -> float:
    """Return the T in [0.02, 50] with the lowest negative log-likelihood.

    The likelihood is convex in 1 / T, so the bounded search finds the only minimum. When every element is right the
    likelihood has none, and the lower end is returned.

    Raises:
        ValueError: there is no element.

    Source: Guo et al., On calibration of modern neural networks, ICML 2017.
    """
    if len(logits) == 0:
        raise ValueError('fit_temperature: there is no labelled element to fit on.')

    def loss(inverse: float) -> float:
        return negative_log_likelihood(logits, target, weight, temperature=1.0 / inverse, use_sigmoid=use_sigmoid)

    found = minimize_scalar(loss, bounds=(1.0 / HIGHEST, 1.0 / LOWEST), method='bounded', options={'xatol': 1e-5})
    return float(1.0 / found.x)
