"""Area of each class from a map and a sample of reference points, with a confidence interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Z_95 = 1.959963984540054
"""97.5 % point of the normal distribution."""


@dataclass(frozen=True)
class AreaEstimate:
    """Shares of the mapped area, each (K,) float64 in [0, 1]; NaN where a stratum has too few points.

    Attributes:
        share: estimated share of each reference class. low, high: its 95 % interval, clipped to [0, 1].
    """

    share: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def estimate_areas(pixels: Any, sample: Any) -> AreaEstimate:
    """Stratified estimator: the map says where to look, the reference points what is there.

    With W_i the share of map class i in the mapped area, n_ij points of map class i whose reference class is j and
    n_i. = sum_j n_ij::

        share_j = sum_i W_i n_ij / n_i.
        se_j^2  = sum_i W_i^2 (n_ij / n_i.) (1 - n_ij / n_i.) / (n_i. - 1)

    and the interval is share_j ± 1.96 se_j. Counting the pixels of a map instead is biased by as much as its errors do
    not cancel, which is most of a rare class. Valid for a random sample, or one stratified by the map; not for pixels
    of a few labelled images.

    Args:
        pixels: (K,) pixels of each map class. sample: (K, K) int points, map class by reference class.

    Returns:
        Shares; all NaN where a map class that covers pixels has fewer than two points: its share of the area could be
        anything.

    Raises:
        ValueError: shapes that do not fit, negative counts, or a map without pixels.

    Source: Olofsson et al., "Good practices for estimating area and assessing accuracy of land change", 2014,
    equations 9 to 11.
    """
    pixels, sample = np.asarray(pixels, np.float64), np.asarray(sample, np.float64)
    if pixels.ndim != 1 or sample.shape != (pixels.size, pixels.size):
        raise ValueError(f'estimate_areas: {pixels.size} map classes need a sample table of that side, but its shape '
                         f'is {sample.shape}.')
    if (pixels < 0).any() or (sample < 0).any() or pixels.sum() == 0:
        raise ValueError('estimate_areas: counts must be >= 0, and the map must have pixels.')
    weights, points = pixels / pixels.sum(), sample.sum(axis=1)
    if ((points < 2) & (pixels > 0)).any():
        unknown = np.full(pixels.size, np.nan)
        return AreaEstimate(unknown, unknown, unknown)
    known = pixels > 0
    part = sample[known] / points[known, None]
    share = weights[known] @ part
    variance = (weights[known] ** 2) @ (part * (1 - part) / (points[known, None] - 1))
    margin = Z_95 * np.sqrt(variance)
    return AreaEstimate(share, np.clip(share - margin, 0, 1), np.clip(share + margin, 0, 1))
