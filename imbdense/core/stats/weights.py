"""From class counts to loss weights, in each published convention."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from imbdense.core.checks import check_choice, check_counts, check_number, reads_values
from imbdense.core.stats.empty import fill_empty_classes

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
        beta: of ``effective``, in [0, 1). ``'auto'`` = 1 - 1 / median(n > 0), not below 0: with pixel counts of 1e5 …
            1e10 the paper's 0.9999 makes 1 - beta ** n equal 1 for every class, that is, no weighting at all. A fixed
            beta that does so is warned about. Counts may be expected ones, below 1; where their median is, beta is 0
            and all weights are 1: then use ``inverse`` or ``sqrt``, which know no number of samples.
        image_pixels: (C,) valid pixels of the images that contain the class; needed by ``median`` only.

    Raises:
        ValueError: unknown scheme, invalid counts, ``median`` without ``image_pixels``, numbers out of range.
    """
    check_choice('scheme', scheme, WEIGHT_SCHEMES, owner='class_weights')
    gamma = check_number('gamma', gamma, low=0.0, high=2.0, owner='class_weights')
    if beta != 'auto':
        beta = check_number('beta', beta, low=0.0, high=1.0 - 1e-15, owner='class_weights')
    raw = check_counts(torch.as_tensor(np.asarray(counts, dtype=np.float64)), owner='class_weights')
    pixels = None if image_pixels is None else torch.as_tensor(np.asarray(image_pixels, dtype=np.float64))
    weights = class_weight_tensor(raw, scheme, gamma=gamma, beta=beta, image_pixels=pixels)
    if scheme == 'effective' and beta != 'auto':
        _warn_if_flat(raw, weights, beta)
    return weights.numpy()


def class_weight_tensor(
    counts: Tensor,
    scheme: str = 'inverse',
    *,
    gamma: float = 1.0,
    beta: float | Literal['auto'] = 'auto',
    image_pixels: Tensor | None = None,
) -> Tensor:
    """:func:`class_weights` on a tensor, (C,) float64 on its device, for counts that change while training.

    Arguments are not checked and no value is read back, so a GPU does not wait.

    Raises:
        ValueError: ``median`` without ``image_pixels``, or with another number of classes.
    """
    raw = counts.to(torch.float64)
    values = fill_empty_classes(raw)
    shares = values / values.sum()
    if scheme in ('inverse', 'sqrt'):
        return (values.min() / values) ** (gamma if scheme == 'inverse' else gamma / 2)
    if scheme == 'log':
        return 1.0 - torch.log(shares / shares.max())
    if scheme == 'median':
        return _median_frequency(raw, values, image_pixels)
    if scheme == 'effective':
        return _effective(raw, values, beta)
    return 1.0 / torch.log(1.02 + shares) if scheme == 'enet' else 1.0 / (shares + 0.02)


LARGEST_WEIGHT = 50.0
"""Above this multiple of the mean weight a few elements of one class rule the gradient."""


def warn_of_large_weights(weights: Tensor, counts: Tensor, owner: str = 'class_weights') -> None:
    """Warn when a class that occurs weighs more than :data:`LARGEST_WEIGHT` times the average element."""
    values = fill_empty_classes(counts.to(torch.float64))
    relative = weights.to(values) / ((values / values.sum()) * weights.to(values)).sum()
    relative = torch.where(counts == 0, 0.0, relative)
    if reads_values(relative) and float(relative.max()) > LARGEST_WEIGHT:
        worst = int(relative.argmax())
        warnings.warn(
            f'{owner}: class {worst} weighs {float(relative[worst]):.0f} times the average element; above '
            f'{LARGEST_WEIGHT:.0f} a few elements rule the gradient and training becomes noisy. Soften it '
            f"(scheme='sqrt' or 'effective'), or use LogitAdjustLoss or PerClassDiceLoss.",
            stacklevel=3,
        )


def _median_frequency(raw: Tensor, values: Tensor, image_pixels: Tensor | None) -> Tensor:
    """median(f) / f_c over the classes that occur."""
    if image_pixels is None:
        raise ValueError(
            "class_weights: scheme='median' needs image_pixels, the pixels of all images that contain each class "
            '(ClassCounts.image_pixels, written by `imbdense stats CONFIG`).'
        )
    if image_pixels.shape != values.shape:
        raise ValueError(
            f'class_weights: image_pixels must have shape {tuple(values.shape)}, but has {tuple(image_pixels.shape)}.'
        )
    frequency = values / torch.maximum(image_pixels.to(values), values)
    return _median_of_present(frequency, raw) / frequency


def _effective(raw: Tensor, values: Tensor, beta: float | Literal['auto']) -> Tensor:
    """Class-balanced weights by effective number, scaled so that they sum to C."""
    # 1 - beta is kept instead of beta, and expm1 / log1p are used, so that no digit is lost when beta is close to one.
    if beta == 'auto':
        rest = 1.0 / _median_of_present(values, raw).clamp_min(1.0)
    else:
        rest = torch.as_tensor(1.0 - beta).to(values)
    effective = -torch.expm1(values * torch.log1p(-rest))
    weights = rest / effective
    return weights * (weights.numel() / weights.sum())


def _median_of_present(values: Tensor, raw: Tensor) -> Tensor:
    """Median over the classes that occur; the mean of the two middle ones when their number is even; 1 without any."""
    return torch.nanquantile(torch.where(raw > 0, values, torch.nan), 0.5).nan_to_num(1.0)


def _warn_if_flat(raw: Tensor, weights: Tensor, beta: float) -> None:
    """Warn when a fixed beta has made all weights equal although the counts are not."""
    values = fill_empty_classes(raw)
    if beta > 0 and float(values.max() / values.min()) > 2 and float(weights.max() / weights.min()) < 1.01:
        warnings.warn(
            f'class_weights: beta={beta} makes all weights equal, because every count is much larger than '
            f"1 / (1 - beta) = {1 / (1 - beta):.0f}. Use beta='auto' or count='images'.",
            stacklevel=3,
        )
