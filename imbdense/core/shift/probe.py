"""A cheap stand-in for a network: a linear discriminant on frozen features, and one round of self-training with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.core.shift.em_prior import probabilities
from imbdense.core.shift.moments import Floats, Indices

SURE = 0.8
SHRINK = 0.05


@dataclass(frozen=True)
class Discriminant:
    """One Gaussian per class with a common covariance: ``slope`` (d, K), ``offset`` (K,), -inf for absent classes."""

    slope: Floats
    offset: Floats

    @classmethod
    def fit(cls, vectors: Floats, label: NDArray[np.integer], weight: Floats, num_classes: int) -> Discriminant:
        """Weighted means, priors and pooled covariance (5 % of its mean variance added to the diagonal)."""
        mass = np.bincount(label, weight, minlength=num_classes)
        means = np.zeros((num_classes, vectors.shape[1]))
        for axis, values in enumerate(vectors.T):
            means[:, axis] = np.bincount(label, weight * values, minlength=num_classes) / np.maximum(mass, 1e-12)
        # Every class counts equally in the common covariance, so that the most frequent one does not decide alone.
        share = weight / np.maximum(mass[label], 1e-12)
        rest = vectors - means[label]
        common = rest.T @ (share[:, None] * rest) / max(int((mass > 0).sum()), 1)
        common += SHRINK * np.trace(common) / len(common) * np.eye(len(common)) + 1e-9 * np.eye(len(common))
        slope = np.linalg.solve(common, means.T)
        with np.errstate(divide='ignore'):
            offset = np.log(mass / mass.sum()) - 0.5 * (means.T * slope).sum(axis=0)
        return cls(slope, offset)

    def chances(self, vectors: Floats) -> Floats:
        """(n, K) posterior."""
        return probabilities(vectors @ self.slope, 1.0, self.offset)


def self_train(
    model: Discriminant,
    vectors: Floats,
    label: Indices,
    weight: Floats,
    pool: Floats,
    pool_weight: Floats,
    num_classes: int,
) -> Discriminant:
    """Fit again on the labelled vectors and those of the pool that ``model`` is sure of (p >= 0.8)."""
    chances = model.chances(pool)
    sure = chances.max(axis=1) >= SURE
    return Discriminant.fit(
        np.concatenate([vectors, pool[sure]]), np.concatenate([label, chances[sure].argmax(axis=1)]),
        np.concatenate([weight, pool_weight[sure]]), num_classes,
    )  # fmt: skip


def class_f1(predicted: Indices, label: Indices, weight: Floats, num_classes: int) -> Floats:
    """(K,) weighted F1 in percent; NaN for a class without a labelled place."""
    hit = np.bincount(label, weight * (predicted == label), minlength=num_classes)
    total = np.bincount(label, weight, minlength=num_classes)
    named = np.bincount(predicted, weight, minlength=num_classes)
    with np.errstate(invalid='ignore', divide='ignore'):
        return np.where(total > 0, 200.0 * hit / (total + named), np.nan)
