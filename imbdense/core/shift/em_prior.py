"""Expectation maximisation of a class prior from calibrated probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from imbdense.core.shift.moments import Floats

STEPS, TOLERANCE = 200, 1e-6
MAX_FIT = 20_000
PULL = 1e-6


def em_priors(
    chances: Floats, prior: Floats, weights: Floats, start: Floats | None = None, tolerance: float = TOLERANCE
) -> Floats:
    """Most likely class shares of B weighted samples, (B, K).

    ::

        pi <- weighted mean over x of  p(y | x) pi / p_L  / (sum over classes)

    until the change is at most ``tolerance`` (sum over the classes) or 200 steps are done. All samples go
    together: a step is two matrix products.

    Args:
        chances: (n, K) calibrated p(y | x) under the prior ``prior``. prior: (K,) p_L; a class with 0 stays at 0.
        weights: (n, B) >= 0, a positive sum per column.
        start: (K,) first shares; ``None`` = ``prior``.
        tolerance: > 0.

    Source: Saerens, Latinne, Decaestecker, Neural Computation 14, 2002.
    """
    lift = np.where(prior > 0, chances / np.where(prior > 0, prior, 1.0), 0.0)
    first = np.maximum(prior if start is None else start, np.where(prior > 0, 1e-9, 0.0))
    shares = np.repeat((first / first.sum())[None], weights.shape[1], axis=0)
    totals = weights.sum(axis=0)
    for _ in range(STEPS):
        evidence = np.maximum(lift @ shares.T, 1e-300)
        updated = shares * ((weights / evidence).T @ lift) / totals[:, None]
        updated /= updated.sum(axis=1, keepdims=True)
        change = np.abs(updated - shares).sum(axis=1).max()
        shares = updated
        if change < tolerance:
            break
    return shares


def probabilities(logits: NDArray[np.floating], temperature: float, bias: Floats) -> Floats:
    """(n, K) softmax of z / T + b."""
    values = np.asarray(logits, dtype=np.float64) / temperature + bias
    values -= values.max(axis=1, keepdims=True)
    np.exp(values, out=values)
    return values / values.sum(axis=1, keepdims=True)


def fit_bias_temperature(
    logits: NDArray[np.floating], label: NDArray[np.integer], weight: Floats, *, seed: int = 0
) -> tuple[float, Floats]:
    """(T, b) of the least cross-entropy of softmax(z / T + b), b = 0 for absent classes, mean 0 over the others.

    The bias matters as much as the temperature: a model trained with a rebalanced loss encodes another prior than the
    one of its labels, and :func:`em_priors` would count that as a shift. At most 20 000 drawn places are used.
    A very weak pull towards T = 1, b = 0 keeps perfect predictions finite.

    Source: Alexandari, Kundaje, Shrikumar, ICML 2020.
    """
    rng = np.random.default_rng(seed)
    keep = np.sort(rng.permutation(len(label))[:MAX_FIT])
    scores, target = np.asarray(logits, dtype=np.float64)[keep], label[keep]
    share = weight[keep] / weight[keep].sum()
    present = np.bincount(target, minlength=scores.shape[1]) > 0
    rows = np.arange(len(target))

    def loss(values: Floats) -> tuple[float, Floats]:
        scale, bias = np.exp(values[0]), np.where(present, values[1:], 0.0)
        chance = probabilities(scores, 1.0 / scale, bias)
        value = -(share * np.log(np.maximum(chance[rows, target], 1e-300))).sum() + PULL * (values**2).sum()
        chance[rows, target] -= 1.0
        slope = share[:, None] * chance
        gradient = np.append((slope * scores).sum() * scale, slope.sum(axis=0) * present)
        return float(value), gradient + 2.0 * PULL * values

    best = minimize(loss, np.zeros(scores.shape[1] + 1), jac=True, method='L-BFGS-B',
                    bounds=[(-4.0, 4.0)] + [(-20.0, 20.0)] * scores.shape[1]).x  # fmt: skip
    bias = np.where(present, best[1:], 0.0)
    return float(np.exp(-best[0])), np.where(present, bias - bias[present].mean(), 0.0)
