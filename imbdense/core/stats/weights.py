"""From class counts to loss weights, in each published convention."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbdense.core.checks import check_choice, check_counts, check_number

WeightScheme = Literal['inverse', 'sqrt', 'log', 'median', 'effective', 'enet', 'randla']
WEIGHT_SCHEMES: tuple[str, ...] = ('inverse', 'sqrt', 'log', 'median', 'effective', 'enet', 'randla')


def class_weights(
    counts: ArrayLike,
    scheme: str = 'inverse',
    *,
    gamma: float = 1.0,
    beta: float | Literal['auto'] = 'auto',
    image_pixels: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Return one weight per class, (C,) float64.

    With n = counts and pi = n / sum(n):

    ========== ================================================================== ===================================
    scheme     weight                                                             source
    ========== ================================================================== ===================================
    inverse    (n_min / n_c) ** gamma                                             cost-sensitive CE (Bag of Tricks)
    sqrt       (n_min / n_c) ** (gamma / 2)                                       the same, softened
    log        1 - log(pi_c / pi_max)                                             weighted softmax (long-tail survey)
    median     median(f) / f_c, f_c = n_c / image_pixels_c                        Eigen & Fergus 2015
    effective  (1 - beta) / (1 - beta ** n_c), scaled to mean 1                   Cui et al. 2019 (class-balanced)
    enet       1 / log(1.02 + pi_c)                                               Paszke et al. 2016
    randla     1 / (pi_c + 0.02)                                                  Hu et al. 2020 (RandLA-Net)
    ========== ================================================================== ===================================

    Args:
        counts: (C,) >= 0. A class with zero counts is treated as if it had one (so its weight is finite and the
            largest); the median is taken over classes that occur.
        gamma: exponent of inverse and sqrt, in [0, 2]; 0 = no weighting.
        beta: of ``effective``, in [0, 1). ``'auto'`` = 1 - 1 / median(n > 0): with pixel counts of 1e5 … 1e10 the
            paper's 0.9999 makes 1 - beta ** n equal 1 for every class, that is, no weighting at all. A fixed beta
            that does so is warned about.
        image_pixels: (C,) valid pixels of the images that contain the class; needed by ``median`` only.

    Raises:
        ValueError: unknown scheme, invalid counts, ``median`` without ``image_pixels``, numbers out of range.
    """
    check_choice('scheme', scheme, WEIGHT_SCHEMES, owner='class_weights')
    gamma = check_number('gamma', gamma, low=0.0, high=2.0, owner='class_weights')
    raw = check_counts(np.asarray(counts, dtype=np.float64), owner='class_weights').numpy()
    values = np.maximum(raw, 1.0)
    shares = values / values.sum()
    if scheme == 'inverse':
        return (values.min() / values) ** gamma
    if scheme == 'sqrt':
        return (values.min() / values) ** (gamma / 2)
    if scheme == 'log':
        return 1.0 - np.log(shares / shares.max())
    if scheme == 'median':
        return _median_frequency(raw, values, image_pixels)
    if scheme == 'effective':
        return _effective(raw, values, beta)
    if scheme == 'enet':
        return 1.0 / np.log(1.02 + shares)
    return 1.0 / (shares + 0.02)


def _median_frequency(
    raw: NDArray[np.float64], values: NDArray[np.float64], image_pixels: ArrayLike | None
) -> NDArray[np.float64]:
    """median(f) / f_c over the classes that occur."""
    if image_pixels is None:
        raise ValueError(
            "class_weights: scheme='median' needs image_pixels, the pixels of all images that contain each class "
            '(ClassCounts.image_pixels, written by `imbdense stats CONFIG`).'
        )
    pixels = np.asarray(image_pixels, dtype=np.float64)
    if pixels.shape != values.shape:
        raise ValueError(f'class_weights: image_pixels must have shape {values.shape}, but has {pixels.shape}.')
    frequency = values / np.maximum(pixels, values)
    present = raw > 0
    return np.median(frequency[present]) / frequency


def _effective(
    raw: NDArray[np.float64], values: NDArray[np.float64], beta: float | Literal['auto']
) -> NDArray[np.float64]:
    """Class-balanced weights by effective number, scaled so that they sum to C."""
    if beta == 'auto':
        number = 1.0 - 1.0 / max(float(np.median(raw[raw > 0])), 1.0)
    else:
        number = check_number('beta', beta, low=0.0, high=1.0 - 1e-15, owner='class_weights')
    # expm1 / log1p keep the digits that 1 - beta ** n would lose when beta is close to one.
    effective = -np.expm1(values * np.log1p(number - 1.0)) if number > 0 else np.ones_like(values)
    weights = (1.0 - number) / effective
    weights *= weights.size / weights.sum()
    if beta != 'auto' and values.max() / values.min() > 2 and weights.max() / weights.min() < 1.01:
        warnings.warn(
            f'class_weights: beta={number} makes all weights equal, because every count is much larger than '
            f"1 / (1 - beta) = {1 / (1 - number):.0f}. Use beta='auto' or count='images'.",
            stacklevel=3,
        )
    return weights
