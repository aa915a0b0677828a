"""Weights of single pool images: the further an image lies outside the labelled ones, the less it counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.core.shift.moments import Floats

FOLDS = 5
LEAST_IMAGES = 10
FREE = 2.0


def ledoit_wolf(vectors: NDArray[np.floating]) -> Floats:
    """Covariance (divisor n) pulled towards a multiple of the identity, (d, d).

    ::

        S* = (1 - r) S + r m I,   m = tr(S) / d,   r = min(b², d²) / d²
        d² = |S - m I|² / d,      b² = (1 / n²) sum_i |x_i x_iᵀ - S|² / d      (Frobenius norms, centred x)

    Args:
        vectors: (n, d), n >= 2; n < d is fine.

    Source: Ledoit & Wolf, J. Multivariate Analysis 88, 2004.
    """
    data = np.asarray(vectors, dtype=np.float64)
    count, dim = data.shape
    if count < 2:
        raise ValueError(f'ledoit_wolf: a covariance needs two vectors, there are {count}.')
    data = data - data.mean(axis=0)
    plain = data.T @ data / count
    scale = np.trace(plain) / dim
    spread = ((plain - scale * np.eye(dim)) ** 2).sum() / dim
    noise = (((data**2).sum(axis=1) ** 2).sum() / count - (plain**2).sum()) / (count * dim)
    pull = 0.0 if spread <= 0 else min(max(noise, 0.0), spread) / spread
    return (1.0 - pull) * plain + pull * scale * np.eye(dim)


@dataclass(frozen=True)
class LabelledGaussian:
    """A Gaussian of labelled image features, and how far labelled images it was not fitted on lie from it.

    Attributes:
        middle: (d,). whiten: (d, d) with (x - middle) @ whiten of unit covariance. typical, spread: mean and standard
            deviation of the Mahalanobis distance of left-out labelled images.
    """

    middle: Floats
    whiten: Floats
    typical: float
    spread: float

    @classmethod
    def fit(cls, vectors: NDArray[np.floating], seed: int = 0) -> LabelledGaussian:
        """Fit on (n, d) features, one per image, n >= 10.

        The distances of the images that a covariance was fitted on are too small, so those that make the z-score come
        from five folds.
        """
        data = np.asarray(vectors, dtype=np.float64)
        if len(data) < LEAST_IMAGES:
            raise ValueError(f'LabelledGaussian: {len(data)} labelled images; {LEAST_IMAGES} are needed.')
        fold = np.random.default_rng(seed).permutation(np.arange(len(data)) % FOLDS)
        distances = np.empty(len(data))
        for number in range(FOLDS):
            held = fold == number
            middle, whiten = _standard(data[~held])
            distances[held] = np.linalg.norm((data[held] - middle) @ whiten, axis=1)
        return cls(*_standard(data), float(distances.mean()), max(float(distances.std(ddof=1)), 1e-12))

    def z_scores(self, vectors: NDArray[np.floating]) -> Floats:
        """(m,) distance of each image in standard deviations above the typical labelled one."""
        distances = np.linalg.norm((np.asarray(vectors, dtype=np.float64) - self.middle) @ self.whiten, axis=1)
        return (distances - self.typical) / self.spread

    def weights(self, vectors: NDArray[np.floating]) -> Floats:
        """(m,) exp(-max(0, z - 2)), not rescaled: 1 for an image like the labelled ones."""
        return np.exp(-np.maximum(self.z_scores(vectors) - FREE, 0.0))


def _standard(data: Floats) -> tuple[Floats, Floats]:
    """(mean, inverse root of the covariance)."""
    values, vectors = np.linalg.eigh(ledoit_wolf(data))
    floor = max(float(values[-1]), 1e-12) * 1e-9
    return data.mean(axis=0), vectors / np.sqrt(np.maximum(values, floor))
