"""Choosing one strength (tau, gamma, lambda) among few: the values tried, and which one wins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbdense.core.stats import class_prior

TAU_VALUES = tuple(round(0.1 * step, 1) for step in range(21))
GAMMA_VALUES = tuple(round(0.1 * step, 1) for step in range(11))
LAMBDA_VALUES = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)


def logit_adjust_shift(
    prior: ArrayLike, tau: float, *, target: ArrayLike | None = None, center: bool = False
) -> NDArray[np.float64]:
    """tau * (log q_c - log pi_c), (C,), q uniform by default; a class without samples counts as one.

    ``center=True`` subtracts the mean over pi, so that a decision between object and background is unmoved on average.

    Worked: counts (100, 10), logits (1, 0), tau 1 and no target give z - log pi = (1.0953, 2.3979); a uniform target
    subtracts log 2 from both. Class 1 wins.

    Source: Menon et al., Long-tail learning via logit adjustment, ICLR 2021.
    """
    pi = class_prior(prior)
    goal = np.full(pi.size, 1.0 / pi.size) if target is None else class_prior(target)
    shift = tau * (np.log(goal) - np.log(pi))
    return shift - (pi * shift).sum() if center else shift


def best_value(values: Sequence[float], scores: ArrayLike, *, neutral: float = 0.0) -> int:
    """Index of the value with the highest score; equal scores (within 1e-12) go to the value nearest to ``neutral``.

    NaN scores never win.

    Raises:
        ValueError: every score is NaN, or the lengths differ.
    """
    found = np.asarray(scores, dtype=np.float64)
    if found.shape != (len(values),):
        raise ValueError(f'best_value: {len(values)} values but scores of shape {found.shape}.')
    if np.isnan(found).all():
        raise ValueError('no value could be scored: no class with ground truth is left in the data.')
    top = np.nanmax(found)
    tied = [index for index, score in enumerate(found) if score >= top - 1e-12]
    return min(tied, key=lambda index: (abs(values[index] - neutral), index))
