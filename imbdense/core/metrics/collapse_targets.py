"""What a network of unconstrained features converges to: exact solutions under squared error on imbalanced classes.

The model: features H (d, N) are free variables, N = sum n_k samples, classifier W = W_M ... W_1 without bias, one-hot
labels Y, weight decay on everything::

    1/2 N^-1 ||W H - Y||_F^2 + sum_j lambda_j / 2 ||W_j||_F^2 + lambda_H / 2 ||H||_F^2

In the optimum all features of a class are equal, and the rows of W (and the class means) are orthogonal with lengths
that depend on n_k: a general orthogonal frame. With d >= K. Source: Dang et al., Neural collapse in deep linear
networks: from balanced to imbalanced data (ICML 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from imbdense.core.checks import check_number

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CollapseTarget:
    """The optimum per class; all arrays (K,), float64, 0 for a class that vanishes.

    Attributes:
        weight: diagonal of ``W W^T``, the squared length s_k^2 of classifier vector k.
        mean: diagonal of ``H^T H`` of the class means, s_k^2 / (s_k^2 + N lambda_H)^2.
        product: diagonal of ``W H``, s_k^2 / (s_k^2 + N lambda_H).
        survival: n_k over the largest count that vanishes; for one layer n_k / (N^2 lambda_W lambda_H). Where it is
            <= 1 the vector and the features of the class are 0: minority collapse.
    """

    weight: Floats
    mean: Floats
    product: Floats
    survival: Floats


def collapse_target(counts: ArrayLike, lambda_w: float | Sequence[float], lambda_h: float) -> CollapseTarget:
    """Return the global optimum for class counts n_k and weight decays lambda_j, lambda_H > 0.

    One layer: ``s_k^2 = max(0, sqrt(n_k lambda_H / lambda_W) - N lambda_H)``, so a class vanishes exactly when
    ``n_k <= N^2 lambda_W lambda_H``. M layers: with ``u = (s^2 / (N lambda_H))^(1/M)`` and ``b_k = M N (N lambda_H
    prod_j lambda_j)^(1/M) / n_k`` minimise ``1 / (u^M + 1) + b_k u``. u = 0 is a local minimum for M >= 2, so the
    search is global: 0 is the optimum when ``b_k > (M - 1)^((M - 1)/M) / M``, else the largest root of
    ``M u^(M-1) = b_k (u^M + 1)^2``.

    Args:
        counts: (K,) samples per class, >= 0, not all 0. A class without samples vanishes.
        lambda_w: decay of W, or of W_1 ... W_M for a deep linear classifier.
        lambda_h: decay of the features.

    Raises:
        ValueError: counts or decays outside their range.
    """
    numbers = np.asarray(counts, dtype=np.float64)
    if numbers.ndim != 1 or numbers.size == 0 or not np.isfinite(numbers).all() or (numbers < 0).any():
        raise ValueError(f'collapse_target: counts must be finite numbers >= 0 per class, but are {counts!r}.')
    total = float(numbers.sum())
    if total == 0:
        raise ValueError('collapse_target: counts sum to zero; there is no sample.')
    decays = [lambda_w] if isinstance(lambda_w, (int, float)) else list(lambda_w)
    decays = [check_number('lambda_w', value, low=0.0, low_open=True) for value in decays]
    if not decays:
        raise ValueError('collapse_target: lambda_w needs one weight decay per layer, but is empty.')
    depth = len(decays)
    feature_scale = total * check_number('lambda_h', lambda_h, low=0.0, low_open=True)
    cost = depth * total * float(np.exp(np.log([feature_scale, *decays]).sum() / depth))
    limit = 1.0 if depth == 1 else (depth - 1) ** ((depth - 1) / depth) / depth
    survival = limit * numbers / cost
    roots = np.array([0.0 if ratio <= 1 else _largest_root(cost / n, depth) for n, ratio in zip(numbers, survival)])
    weight = feature_scale * roots**depth
    product = weight / (weight + feature_scale)
    return CollapseTarget(weight, product / (weight + feature_scale), product, survival)


def _largest_root(b: float, depth: int) -> float:
    """The largest u > 0 with ``depth u^(depth - 1) = b (u^depth + 1)^2``; there must be one."""
    if depth == 1:
        return b**-0.5 - 1.0
    # The left side over the right falls beyond its only maximum, and is below depth u^-(depth + 1) everywhere.
    peak = ((depth - 1) / (depth + 1)) ** (1 / depth)
    high = (depth / b) ** (1 / (depth + 1))

    def excess(u: float) -> float:
        return depth * u ** (depth - 1) - b * (u**depth + 1) ** 2

    if excess(high) >= 0:  # rounding, or the maximum itself
        return high
    return float(brentq(excess, peak, high, xtol=1e-14, rtol=1e-14, maxiter=500))
