"""Can a classifier tell labelled from unlabelled images? Cross-validated logistic regression."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from imbdense.core.shift.moments import Floats, Indices, group_index
from imbdense.core.shift.pair import VectorPair

FOLDS = 5
STEPS = 20


@dataclass(frozen=True)
class DomainClassifier:
    """How well the sides can be told apart on images the classifier has not seen.

    Attributes:
        auroc: mean over the folds; 0.5 = not at all, 1 = always. reason: why it is NaN.
        groups_a, groups_b: names of the labelled and unlabelled images that were scored.
        scores_a, scores_b: their mean probability of being unlabelled.
    """

    auroc: float
    reason: str = ''
    groups_a: Indices = field(default_factory=lambda: np.zeros(0, np.int64))
    scores_a: Floats = field(default_factory=lambda: np.zeros(0))
    groups_b: Indices = field(default_factory=lambda: np.zeros(0, np.int64))
    scores_b: Floats = field(default_factory=lambda: np.zeros(0))


def classify_domains(pair: VectorPair, *, seed: int = 0) -> DomainClassifier:
    """Logistic regression on the vectors and their squares (so that a change of spread shows too), 5 folds by group.

    Every image is scored by the classifier of the folds it is not in. The area under the ROC curve is taken per fold
    and averaged: scores of different classifiers do not have one scale.

    Args:
        pair: see :func:`~imbdense.core.shift.pair.prepare_pair`. seed: of the folds.
    """
    (index_a, count_a), (index_b, count_b) = group_index(pair.groups_a), group_index(pair.groups_b)
    if pair.reason or min(count_a, count_b) < FOLDS:
        return DomainClassifier(math.nan, pair.reason or f'fewer than {FOLDS} images on a side')
    rng = np.random.default_rng(seed)
    fold = np.concatenate([
        rng.permutation(np.arange(count_a) % FOLDS)[index_a], rng.permutation(np.arange(count_b) % FOLDS)[index_b]
    ])
    vectors = np.concatenate([pair.a, pair.b])
    features = np.concatenate([vectors, vectors**2], axis=1)
    features = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-12)
    features = np.concatenate([np.clip(features, -10.0, 10.0), np.ones((len(features), 1))], axis=1)
    target = np.concatenate([np.zeros(len(pair.a)), np.ones(len(pair.b))])
    scores = np.empty(len(target))
    areas = []
    for number in range(FOLDS):
        held = fold == number
        weight = fit_logistic(features[~held], target[~held])
        scores[held] = 1.0 / (1.0 + np.exp(-np.clip(features[held] @ weight, -30.0, 30.0)))
        areas.append(auroc(scores[held], target[held] > 0))
    means_a = np.bincount(index_a, scores[: len(index_a)]) / np.bincount(index_a)
    means_b = np.bincount(index_b, scores[len(index_a) :]) / np.bincount(index_b)
    return DomainClassifier(
        float(np.mean(areas)), '', np.unique(pair.groups_a), means_a, np.unique(pair.groups_b), means_b
    )


def fit_logistic(features: Floats, target: Floats, ridge: float = 1.0) -> Floats:
    """(d,) weights of least penalised cross-entropy, by Newton steps; the last column (ones) is not penalised."""
    penalty = np.full(features.shape[1], ridge)
    penalty[-1] = 1e-9
    weight: Floats = np.zeros(features.shape[1])
    for _ in range(STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(features @ weight, -30.0, 30.0)))
        gradient = features.T @ (chance - target) + penalty * weight
        curvature = features.T @ (features * np.maximum(chance * (1 - chance), 1e-6)[:, None])
        step = np.linalg.solve(curvature + np.diag(penalty), gradient)
        weight = weight - step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-5:
            break
    return weight


def auroc(scores: Floats, positive: NDArray[np.bool_]) -> float:
    """Share of (positive, negative) pairs in the right order, ties half; NaN without one of both."""
    ranks = rankdata(scores)
    yes = int(positive.sum())
    no = len(scores) - yes
    if yes == 0 or no == 0:
        return math.nan
    return float((ranks[positive].sum() - yes * (yes + 1) / 2) / (yes * no))
