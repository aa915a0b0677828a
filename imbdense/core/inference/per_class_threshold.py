"""One threshold per class: from the class prior, or the one that is best on labelled data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from imbdense.core.checks import check_choice, check_counts

Floats = NDArray[np.float64]
CRITERIA: tuple[str, ...] = ('f1', 'iou', 'youden')
NO_PRIOR = 1e-12
"""A class whose prior is below this is not divided by it."""


def prior_threshold(probs: Tensor, prior: ArrayLike, *, renorm: bool = False) -> Tensor:
    """Return p_c / pi_c: deciding by its argmax is deciding as on balanced data.

    Args:
        probs: (N, C, ...) or (C,) probabilities.
        prior: (C,) distribution that training saw (after sampler and crops); below 1e-12 the class stays as it is.
        renorm: divide by the sum over classes. Argmax is unchanged, but one-vs-rest rankings (AUC) are not: take them
            before.

    Worked: p = (.7, .2, .1), pi = (.8, .15, .05) give (.875, 1.3333, 2.0), renormalised (.2079, .3168, .4752).

    Source: Buda et al., A systematic study of the class imbalance problem in CNNs, Neural Networks 2018.
    """
    values = check_counts(np.asarray(prior, dtype=np.float64).tolist(), name='prior', owner='prior_threshold')
    dim = 0 if probs.ndim == 1 else 1
    if probs.shape[dim] != values.numel():
        raise ValueError(f'prior_threshold: {values.numel()} priors but {probs.shape[dim]} classes (dim {dim}).')
    divisor = torch.where(values < NO_PRIOR, torch.ones_like(values), values).to(probs)
    shape = [1] * probs.ndim
    shape[dim] = -1
    scores = probs / divisor.view(shape)
    return scores / scores.sum(dim=dim, keepdim=True) if renorm else scores


@dataclass(frozen=True)
class Threshold:
    """The best cut of one class: ``score > value`` is positive; ``quality`` is the criterion reached there."""

    value: float
    quality: float


def best_threshold(
    scores: ArrayLike,
    positive: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    criterion: str = 'f1',
    missed: float = 0.0,
) -> Threshold:
    """Return the threshold with the best criterion over all cuts between different scores, exactly.

    ::

        f1       2 TP / (2 TP + FP + FN)        iou      TP / (TP + FP + FN)  (the same threshold as f1)
        youden   TPR - FPR

    Args:
        scores: (n,), higher = more likely the class. positive: bool (n,). weight: (n,) >= 0, default 1.
        criterion: one of :data:`CRITERIA`.
        missed: weight of positives that have no score at all (objects without a detection).

    Returns:
        Halfway between the two scores beside the best cut; the lowest score minus 0.5 when all are to be positive, the
        highest score when none. Of equally good cuts the one with fewest positives.

    Raises:
        ValueError: no positive; 'youden' without a negative; lengths differ.
    """
    check_choice('criterion', criterion, CRITERIA, owner='best_threshold')
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    mass = np.ones(values.shape) if weight is None else np.asarray(weight, dtype=np.float64)
    if values.ndim != 1 or truth.shape != values.shape or mass.shape != values.shape:
        raise ValueError(f'best_threshold: shapes {values.shape}, {truth.shape} and {mass.shape} must be equal (n,).')
    total = float(mass[truth].sum()) + missed
    negatives = float(mass[~truth].sum())
    if total <= 0:
        raise ValueError('best_threshold: the class has no positive; nothing can be fitted.')
    if criterion == 'youden' and negatives <= 0:
        raise ValueError('best_threshold: youden needs negatives.')
    if values.size == 0:
        return Threshold(0.0, 0.0)
    order = np.argsort(-values, kind='stable')
    values = values[order]
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True))
    hits = np.cumsum(np.where(truth, mass, 0.0)[order])[ends]
    alarms = np.cumsum(np.where(truth, 0.0, mass)[order])[ends]
    if criterion == 'youden':
        quality = hits / total - alarms / negatives
    elif criterion == 'iou':
        quality = hits / (total + alarms)
    else:
        quality = 2 * hits / (total + hits + alarms)
    best = int(np.argmax(quality))
    if quality[best] <= 0:
        return Threshold(float(values[0]), 0.0)
    last = values[ends[best]]
    after = values[ends[best] + 1] if ends[best] + 1 < values.size else last - 1.0
    return Threshold(float((last + after) / 2), float(quality[best]))


def one_vs_rest_thresholds(
    probs: NDArray[np.floating],
    target: NDArray[np.integer],
    weight: Floats | None = None,
    *,
    criterion: str = 'f1',
) -> tuple[Floats, list[int]]:
    """Best threshold of every class against the rest.

    Args:
        probs: (n, C) in [0, 1]. target: (n,) class index.

    Returns:
        (thresholds (C,) in [1e-6, 1 - 1e-6], indices of the classes without a positive, which get 1 / C).
    """
    classes = probs.shape[1]
    thresholds, empty = np.full(classes, 1.0 / classes), []
    for index in range(classes):
        positive = target == index
        if not positive.any() or positive.all():
            empty.append(index)
            continue
        thresholds[index] = best_threshold(probs[:, index], positive, weight, criterion=criterion).value
    return thresholds.clip(1e-6, 1 - 1e-6), empty
