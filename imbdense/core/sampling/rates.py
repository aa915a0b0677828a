"""An epoch from expected draws: how often each image should come on average, turned into a list of indices."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbdense.core.sampling.streams import IndexStream, epoch_generator


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


def draw_epoch(rates: NDArray[np.float64], length: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return (length,) shuffled image indices, image i floor(rates[i]) or ceil(rates[i]) times; rates sum to length."""
    counts = round_stochastically(rates, rng)
    drawn = np.repeat(np.arange(rates.size, dtype=np.int64), counts)
    rng.shuffle(drawn)
    return np.resize(drawn, length)  # rounding errors of the sum can make it one draw longer or shorter


class RateStream(IndexStream):
    """Every image floor(r) or ceil(r) times per epoch, decided anew each epoch, in random order.

    The epoch length is L = ceil(sum of r); the rates are scaled by L / sum(r) (less than one draw in all), so that
    every epoch has exactly L draws and the expected draws are exactly :meth:`draw_rates`. An image with r >= 1 is
    therefore in every epoch.

    Args:
        rates: (I,) expected draws of each image, >= 0.
        low: smallest rate that is accepted.

    Raises:
        ValueError: no image, a rate that is not finite or below ``low``, or only zeros.
    """

    def __init__(self, rates: ArrayLike, low: float = 0.0) -> None:
        values = np.asarray(rates, dtype=np.float64)
        if values.ndim != 1 or values.size == 0:
            raise ValueError(f'rates must hold one number per image, but has shape {values.shape}: no image to draw.')
        if not np.isfinite(values).all() or values.min() < low or values.max() <= 0:
            raise ValueError(
                f'rates must be finite and >= {low:g}, not all zero, but range from {values.min()} to {values.max()}.'
            )
        total = float(values.sum())
        self.num_images = values.size
        self.length = max(int(np.ceil(total * (1 - 1e-12))), 1)
        self._rates = values * max(self.length / total, 1.0)

    def draw_rates(self) -> NDArray[np.float64]:
        """Return (I,) expected draws per epoch."""
        return self._rates.copy()

    def epoch(self, seed: int, epoch: int) -> NDArray[np.int64]:
        """Return the (L,) image indices of one epoch."""
        return draw_epoch(self._rates, self.length, epoch_generator(seed, epoch))
