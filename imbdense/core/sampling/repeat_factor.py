"""Repeat-factor sampling: draw an image more often when it holds a class that few images hold.

Gupta, Dollar, Girshick: LVIS: A Dataset for Large Vocabulary Instance Segmentation. CVPR 2019 (r = sqrt(t / f)).
Yaman et al.: Instance-Aware Repeat Factor Sampling for Long-Tailed Object Detection. ML4H 2023 (geometric frequency).
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_choice, check_number
from imbdense.core.sampling.streams import IndexStream, epoch_generator
from imbdense.core.stats import ImageClassTable

Frequency = Literal['image', 'instance', 'geometric']


def class_frequencies(table: ImageClassTable, frequency: Frequency = 'image') -> NDArray[np.float64]:
    """Return (C,) frequencies f in [0, 1].

    * ``'image'``: images that hold the class / images;
    * ``'instance'``: amount of the class (objects or pixels) / amount of all classes;
    * ``'geometric'``: sqrt(image * instance), rare in either sense counts.

    A class without a sample has frequency 0, also in an empty table.
    """
    check_choice('frequency', frequency, get_args(Frequency))
    by_image = table.image_counts / max(len(table), 1)
    if frequency == 'image':
        return by_image
    by_instance = table.totals / max(int(table.totals.sum()), 1)
    return by_instance if frequency == 'instance' else np.sqrt(by_image * by_instance)


def repeat_factors(
    table: ImageClassTable, threshold: float | Literal['auto'] = 'auto', frequency: Frequency = 'image'
) -> NDArray[np.float64]:
    """Return (I,) repeat factors r_I = max over the classes c of image I of r_c, r_c = max(1, sqrt(t / f_c)).

    Args:
        table: which image holds how much of which class.
        threshold: t in (0, 1]; a class rarer than t is oversampled. ``'auto'`` takes the median frequency of the
            classes that occur, so that half of them are lifted whatever the data set.
        frequency: what f counts, see :func:`class_frequencies`.

    An image without classes has factor 1. A class without images has no factor and influences nothing.
    """
    rates = class_frequencies(table, frequency)
    present = rates > 0
    if threshold == 'auto':
        limit = float(np.median(rates[present])) if present.any() else 1.0
    else:
        limit = check_number('threshold', threshold, low=0.0, high=1.0, low_open=True)
    per_class = np.ones(table.num_classes)
    per_class[present] = np.maximum(1.0, np.sqrt(limit / rates[present]))
    factors = np.ones(len(table))
    np.maximum.at(factors, table.entry_images, per_class[table.classes])
    return factors


def round_stochastically(rates: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Round every rate up or down at random so that its mean is kept: E[result] = rates, |result - rates| < 1.

    Systematic sampling in random order (Madow 1949): one uniform number decides for all, which keeps the sum within
    one of ``rates.sum()`` — exactly equal when that is a whole number — while independent coin flips would let the
    length of an epoch wander.
    """
    order = rng.permutation(rates.size)
    whole = np.floor(rates).astype(np.int64)
    steps = np.floor(np.cumsum((rates - whole)[order]) + rng.random()).astype(np.int64)
    whole[order] += np.diff(steps, prepend=0)
    return whole


class RepeatFactorStream(IndexStream):
    """Every image floor(r) or ceil(r) times per epoch, decided anew each epoch, in random order.

    The epoch length is L = ceil(sum of r); the factors are scaled by L / sum(r) (less than 1 / I of change), so that
    every epoch has exactly L draws and the expected draws are exactly :meth:`draw_rates`.

    Args:
        factors: (I,) repeat factors >= 1, from :func:`repeat_factors`.

    Raises:
        ValueError: no image, or a factor below 1 or not finite.
    """

    def __init__(self, factors: NDArray[np.float64]) -> None:
        values = np.asarray(factors, dtype=np.float64)
        if values.ndim != 1 or values.size == 0:
            raise ValueError(f'factors must hold one number per image, but has shape {values.shape}: no image to draw.')
        if not np.isfinite(values).all() or values.min() < 1:
            raise ValueError(f'factors must be finite and >= 1, but range from {values.min()} to {values.max()}.')
        self.num_images = values.size
        self.length = int(np.ceil(values.sum() - 1e-6))
        self._rates = values * (self.length / values.sum())

    def draw_rates(self) -> NDArray[np.float64]:
        """Return (I,) expected draws per epoch."""
        return self._rates.copy()

    def epoch(self, seed: int, epoch: int) -> NDArray[np.int64]:
        """Return the (L,) image indices of one epoch."""
        rng = epoch_generator(seed, epoch)
        counts = round_stochastically(self._rates, rng)
        drawn = np.repeat(np.arange(self.num_images, dtype=np.int64), counts)
        rng.shuffle(drawn)
        return np.resize(drawn, self.length)
