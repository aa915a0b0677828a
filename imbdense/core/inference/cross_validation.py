"""Does a fitted parameter help on images it was not fitted on? Folds over images, and an honest answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from imbdense.core.checks import check_integer

Parameter = TypeVar('Parameter')


def assign_folds(num_images: int, folds: int, seed: int = 0) -> NDArray[np.int64]:
    """Fold of every image, (num_images,): a seeded permutation dealt out in turn, so sizes differ by at most one.

    Raises:
        ValueError: fewer images than folds, or fewer than 2 folds.
    """
    check_integer('folds', folds, low=2, owner='cross_validation')
    if num_images < folds:
        raise ValueError(
            f'cross_validation: {folds} folds need at least {folds} images, but there are {num_images}. Use fewer '
            f'folds or more images.'
        )
    fold = np.empty(num_images, dtype=np.int64)
    fold[np.random.default_rng(seed).permutation(num_images)] = np.arange(num_images) % folds
    return fold


@dataclass(frozen=True)
class HeldOutGain:
    """Scores on held-out folds, where higher is better.

    Attributes:
        plain, fitted: score of the unchanged and of the calibrated model on each fold, (K,). Folds on which either is
            undefined are left out of the gain.
        parameters: what was fitted on the other folds, one entry per fold.
    """

    plain: tuple[float, ...]
    fitted: tuple[float, ...]
    parameters: tuple[Any, ...]

    @property
    def gains(self) -> NDArray[np.float64]:
        """fitted - plain on the folds where both are defined."""
        difference = np.asarray(self.fitted) - np.asarray(self.plain)
        return difference[~np.isnan(difference)]

    @property
    def mean(self) -> float:
        """Mean gain; NaN without a defined fold."""
        return float(self.gains.mean()) if self.gains.size else math.nan

    @property
    def std(self) -> float:
        """Standard deviation of the gains over folds (n - 1); NaN for fewer than two."""
        return float(self.gains.std(ddof=1)) if self.gains.size > 1 else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the mean gain, Student's t over the folds; (NaN, NaN) for fewer than two.

        The folds share training images, so it is somewhat too narrow; it is meant to refuse, not to prove.
        """
        if self.gains.size < 2:
            return (math.nan, math.nan)
        half = float(student.ppf(0.975, self.gains.size - 1)) * self.std / math.sqrt(self.gains.size)
        return (self.mean - half, self.mean + half)

    @property
    def recommended(self) -> bool:
        """Whether the interval lies above 0."""
        return self.interval[0] > 0


def cross_validate(
    folds: int,
    fit: Callable[[Sequence[int]], Parameter],
    score: Callable[[Parameter | None, Sequence[int]], float],
    fit_plain: Callable[[Sequence[int]], Parameter] | None = None,
) -> HeldOutGain:
    """Fit on all folds but one, score on that one, for every fold.

    Args:
        folds: K >= 2.
        fit: training folds -> parameter. It is never told the held-out fold.
        score: (parameter or ``None`` for the unchanged model, folds) -> score, higher is better, NaN = undefined.
        fit_plain: fits what the calibrated model is compared with, on the same folds; ``None`` = the unchanged model.
    """
    check_integer('folds', folds, low=2, owner='cross_validate')
    plain, fitted, parameters = [], [], []
    for held_out in range(folds):
        others = [fold for fold in range(folds) if fold != held_out]
        parameter = fit(others)
        plain.append(float(score(None if fit_plain is None else fit_plain(others), [held_out])))
        fitted.append(float(score(parameter, [held_out])))
        parameters.append(parameter)
    return HeldOutGain(tuple(plain), tuple(fitted), tuple(parameters))
