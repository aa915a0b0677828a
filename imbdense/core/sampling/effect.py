"""What a sampler does to the classes: how often each is drawn more than before, and how balanced the result is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbdense.core.stats import ImageClassTable, imbalance_ratio


@dataclass(frozen=True)
class SamplingEffect:
    """Expected effect of drawing the images with given rates.

    Attributes:
        draws_per_image: (smallest, mean, largest) expected draws of one image per epoch.
        factors: (C,) amount of each class per draw, relative to drawing uniformly; NaN for a class without images.
        ratio_before, ratio_after: amount of the largest class / amount of the smallest that occurs.
    """

    draws_per_image: tuple[float, float, float]
    factors: NDArray[np.float64]
    ratio_before: float
    ratio_after: float

    def describe(self, names: Sequence[str], shown: int = 8) -> str:
        """One or two lines for the log; the ``shown`` classes that change most are named."""
        low, mean, high = self.draws_per_image
        text = (
            f'draws per image and epoch {low:.3g} to {high:.3g}, mean {mean:.3g}; largest / smallest class '
            f'{self.ratio_before:.4g} -> {self.ratio_after:.4g}'
        )
        change = np.abs(np.log(np.where(self.factors > 0, self.factors, 1.0)))
        order = np.argsort(-change, kind='stable')[:shown]
        parts = [f'{names[c]} x{self.factors[c]:.3g}' for c in order if np.isfinite(self.factors[c])]
        more = np.isfinite(self.factors).sum() - len(parts)
        return f'{text}\nclass amount per draw: {", ".join(parts)}{f" and {more} more" if more > 0 else ""}'


def sampling_effect(table: ImageClassTable, draws: ArrayLike) -> SamplingEffect:
    """Return what drawing image i ``draws[i]`` times per epoch (I,) leaves of the class amounts of ``table``.

    With no class at all the ratios are 1. A class whose images are never drawn has factor 0 and does not enter
    ``ratio_after``.
    """
    rates = np.asarray(draws, dtype=np.float64)
    before = table.totals.astype(np.float64)
    after = table.expected_totals(rates)
    scale = rates.mean() if rates.size else 1.0
    factors = np.full(before.size, np.nan)
    np.divide(after, before * scale, out=factors, where=before > 0)
    extent = (float(rates.min()), float(scale), float(rates.max())) if rates.size else (0.0, 0.0, 0.0)
    return SamplingEffect(extent, factors, _ratio(before), _ratio(after))


def _ratio(amounts: NDArray[np.float64]) -> float:
    """Largest / smallest amount above zero."""
    return imbalance_ratio(amounts) if (amounts > 0).any() else 1.0
