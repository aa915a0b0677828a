"""What M3C2 says about each core point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CONFIDENCE = 1.96
"""Quantile of the normal distribution behind the 95 % level of detection."""


@dataclass(frozen=True, eq=False)
class M3C2Result:
    """Distances of N core points, with their uncertainty.

    Attributes:
        distance: (N,) metres along the normal, epoch 2 - epoch 1; NaN where an epoch has no point in the cylinder.
        lod: (N,) level of detection at 95 %; NaN where ``distance`` is, or where a spread is unknown (one point).
        spread1, spread2: (N,) standard deviation, or inter-quartile range (robust), along the normal; NaN if unknown.
        count1, count2: (N,) int64 points of each epoch in the cylinder.
        position1, position2: (N,) mean (robust: median) of each epoch along the normal, from the core point; NaN from
            py4dgeo, which does not tell them.
        normals: (N, 3). normal_radius: (N,) the radius each normal is from; NaN for given normals.
        engine: 'numpy' or 'py4dgeo': who measured.
    """

    distance: Floats
    lod: Floats
    spread1: Floats
    spread2: Floats
    count1: NDArray[np.int64]
    count2: NDArray[np.int64]
    position1: Floats
    position2: Floats
    normals: Floats
    normal_radius: Floats
    engine: str

    @property
    def significant(self) -> NDArray[np.bool_]:
        """(N,) whether \\|distance\\| > lod; False where either is NaN."""
        with np.errstate(invalid='ignore'):
            larger: NDArray[np.bool_] = np.abs(self.distance) > self.lod
        return larger

    def __len__(self) -> int:
        return len(self.distance)


def level_of_detection(
    spread1: Floats, count1: NDArray[np.int64], spread2: Floats, count2: NDArray[np.int64], registration_error: float
) -> Floats:
    """1.96 (sqrt(s1^2 / n1 + s2^2 / n2) + registration error); NaN where a spread is NaN or a count 0."""
    with np.errstate(divide='ignore', invalid='ignore'):
        level: Floats = CONFIDENCE * (np.sqrt(spread1**2 / count1 + spread2**2 / count2) + registration_error)
    level[(count1 == 0) | (count2 == 0)] = np.nan
    return level
