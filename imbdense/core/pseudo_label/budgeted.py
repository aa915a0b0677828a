"""Thresholds with a guarantee: the share of wrong pseudo-labels of a class stays below a budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta
from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.pseudo_label.labeler import PseudoLabeler

GRID: NDArray[np.float64] = np.append(np.round(np.linspace(0.05, 0.95, 19), 2), 0.99)
"""Thresholds that are tried by default: chosen before the data are seen, which the guarantee needs."""


def clopper_pearson_upper(wrong: ArrayLike, total: ArrayLike, error: float) -> NDArray[np.float64]:
    """Upper confidence limit of a proportion: with probability 1 - ``error`` the true one is not above.

    ``BetaInv(1 - error; wrong + 1, total - wrong)``; 1 where ``wrong == total`` (also 0 of 0).

    Source: Clopper & Pearson, Biometrika 1934.
    """
    k, n = np.asarray(wrong, dtype=np.float64), np.asarray(total, dtype=np.float64)
    return np.where(k < n, beta.ppf(1.0 - error, k + 1.0, np.maximum(n - k, 1.0)), 1.0)


class Budget(NamedTuple):
    """What was found for each class, (K,) each.

    Attributes:
        threshold: lowest threshold that keeps the budget; inf = abstain.
        bound: upper limit of the share of wrong labels there; for an abstaining class the best limit of any threshold.
        accepted, wrong: calibration items above the threshold (0 for an abstaining class).
    """

    threshold: NDArray[np.float64]
    bound: NDArray[np.float64]
    accepted: NDArray[np.int64]
    wrong: NDArray[np.int64]


def budgeted_thresholds(
    scores: ArrayLike,
    predicted: ArrayLike,
    correct: ArrayLike,
    num_classes: int,
    *,
    alpha: float = 0.1,
    error: float = 0.05,
    grid: ArrayLike = GRID,
) -> Budget:
    """The lowest threshold per class at which the false-discovery rate is at most ``alpha``, or abstention.

    For each of the G thresholds of the grid the items of class c at or above it are counted, n of which k are wrong.
    The threshold is admissible if the upper Clopper-Pearson limit of k / n at error probability ``error`` / G is <=
    alpha. Dividing by G makes all limits hold at once, so choosing among them is allowed.

    The guarantee holds for each class by itself with probability 1 - ``error``, if calibration items and unlabelled
    ones come from the same distribution and the items are independent: use objects or connected components, not pixels.

    Args:
        scores, predicted, correct: (M,) confidence, class and whether the class is right, of predictions on labelled
            images that were not trained on.
        num_classes: K.
        alpha: budget in (0, 1).
        error: in (0, 1).
        grid: (G,) thresholds, fixed beforehand.

    Returns:
        :class:`Budget`.

    Example: 100 items of one class, none wrong, alpha .1, error .05, one threshold: limit 1 - .05^(1/100) = .0295,
    admissible; of 10 items: .2589, abstain.
    """
    check_number('alpha', alpha, low=0.0, high=1.0, low_open=True, owner='budgeted_thresholds')
    check_number('error', error, low=0.0, high=1.0, low_open=True, owner='budgeted_thresholds')
    values, classes = np.asarray(scores, dtype=np.float64), np.asarray(predicted, dtype=np.int64)
    right, steps = np.asarray(correct, dtype=bool), np.sort(np.asarray(grid, dtype=np.float64))
    if not values.shape == classes.shape == right.shape or values.ndim != 1:
        raise ValueError(
            f'budgeted_thresholds: scores, predicted and correct must be (M,) each, but are {values.shape}, '
            f'{classes.shape} and {right.shape}.'
        )
    above = values[:, None] >= steps
    member = np.eye(num_classes, dtype=np.int64)[:, classes]
    total, wrong = member @ above, member @ (above & ~right[:, None])
    bounds = clopper_pearson_upper(wrong, total, error / steps.size)
    admissible = bounds <= alpha
    found = admissible.any(1)
    pick = np.where(found, admissible.argmax(1), bounds.argmin(1))
    rows = np.arange(num_classes)
    return Budget(
        np.where(found, steps[pick], np.inf), bounds[rows, pick],
        np.where(found, total[rows, pick], 0), np.where(found, wrong[rows, pick], 0),
    )


class BudgetedThreshold(PseudoLabeler):
    """Accept a class from the lowest threshold at which at most ``alpha`` of its labels are wrong, or abstain.

    Before use, and again whenever the teacher has changed, :meth:`calibrate` is given predictions on labelled images
    that were held out; see :func:`budgeted_thresholds` for what is guaranteed. A class for which no threshold keeps the
    budget gets no pseudo-label at all (threshold inf); :meth:`abstaining` lists them. Before the first calibration that
    is every class.

    Few items can not prove a small rate: with no mistake at all, n items prove about 6 / n with the default grid. A
    rare class with 30 objects can not be labelled with alpha = .1, however well it is predicted.

    State (persistent): thresholds (K,) float32.

    Args:
        num_classes: K >= 1.
        alpha: largest share of wrong labels among those accepted of a class, in (0, 1).
        error: probability with which the bound may fail, per class, in (0, 1).
        negative, ignore_index: see :class:`PseudoLabeler`.
    """

    limits: Tensor

    def __init__(
        self,
        num_classes: int,
        alpha: float = 0.1,
        error: float = 0.05,
        negative: float | Sequence[float] | str | None = None,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(num_classes, negative, ignore_index)
        self.alpha = check_number('alpha', alpha, low=0.0, high=1.0, low_open=True, owner='BudgetedThreshold')
        self.error = check_number('error', error, low=0.0, high=1.0, low_open=True, owner='BudgetedThreshold')
        self.register_buffer('limits', torch.full((num_classes,), torch.inf))

    def thresholds(self) -> Tensor:
        """(K,) float32; inf = the class abstains."""
        return self.limits

    def calibrate(self, scores: ArrayLike, predicted: ArrayLike, correct: ArrayLike) -> Budget:
        """Set the thresholds from (M,) held-out predictions; the same must be given on every rank."""
        found = budgeted_thresholds(
            scores, predicted, correct, self.num_classes, alpha=self.alpha, error=self.error
        )
        self.limits.copy_(torch.as_tensor(found.threshold, dtype=torch.float32))
        return found

    def abstaining(self) -> list[int]:
        """The classes that get no pseudo-label."""
        return torch.nonzero(torch.isinf(self.limits)).flatten().tolist()
