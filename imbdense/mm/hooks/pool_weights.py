"""Weights of unlabelled images from the features of the iterations just before."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.shift import LabelledGaussian

LEAST_LABELLED = 10
REFIT = 20
Array = NDArray[Any]


class PoolWeights:
    """Features of the last images of both sides, and the Gaussian of the labelled ones, fitted anew every 20 batches.

    A network in training moves its features, so a Gaussian that is some thousand steps old finds every image far away.

    Args:
        images: kept per side. seed: of the folds.
    """

    def __init__(self, images: int, seed: int = 0) -> None:
        self.labelled: deque[Array] = deque(maxlen=max(images, LEAST_LABELLED))
        self.pool: deque[Array] = deque(maxlen=max(images, LEAST_LABELLED))
        self.seed = seed
        self._fitted: tuple[LabelledGaussian, float] | None = None
        self._age = 0

    def add(self, labelled: list[Array], pool: list[Array]) -> None:
        """Mean features of the images of one batch."""
        self.labelled.extend(labelled)
        self.pool.extend(pool)
        self._age += 1

    def of(self, features: list[Array]) -> Array | None:
        """(m,) exp(-max(0, z - 2)) over its mean over the kept pool images; ``None`` below ten labelled images."""
        if not self.pool or len(self.labelled) < LEAST_LABELLED:
            return None
        if self._fitted is None or self._age >= REFIT:
            gaussian = LabelledGaussian.fit(np.stack(self.labelled), self.seed)
            self._fitted = gaussian, max(float(gaussian.weights(np.stack(self.pool)).mean()), 1e-12)
            self._age = 0
        gaussian, mean = self._fitted
        return gaussian.weights(np.stack(features)) / mean
