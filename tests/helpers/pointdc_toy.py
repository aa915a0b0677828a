"""The toy of PointDC: six classes of very different size, noisy features of several views, some points never seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHARES = (0.45, 0.25, 0.15, 0.10, 0.035, 0.015)
CHANNELS, NOISE, MAX_VIEWS = 16, 0.7, 5
SIDE, POINTS = 32.0, 24_000
RADIUS = (0.0, 4.0, 3.0, 2.5, 1.6, 1.2)
"""Metres; of the discs that a class but the first one is made of."""


@dataclass(frozen=True)
class Toy:
    """``xyz`` (N, 3) m, ``features`` (N, 16) mean over the views that see a point (zeros: none), ``views`` (N,),
    ``truth`` (N,)."""

    xyz: NDArray[np.float64]
    features: NDArray[np.float64]
    views: NDArray[np.int64]
    truth: NDArray[np.int64]


def make_toy(seed: int) -> Toy:
    """Discs of the classes 1..5 on a plane of class 0, until each has its share of the area."""
    rng = np.random.default_rng(seed)
    xyz = np.c_[rng.uniform(0, SIDE, (POINTS, 2)), rng.normal(0, 0.05, POINTS)]
    truth = np.zeros(POINTS, np.int64)
    for label in range(1, 6):
        while (truth == label).mean() < SHARES[label]:
            centre = rng.uniform(0, SIDE, 2)
            inside = np.linalg.norm(xyz[:, :2] - centre, axis=1) < RADIUS[label]
            if (truth[inside] == 0).all():
                truth[inside] = label
    prototypes = rng.normal(size=(6, CHANNELS))
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    views = rng.integers(0, MAX_VIEWS + 1, POINTS)
    noise = rng.normal(size=(POINTS, CHANNELS)) * NOISE / np.sqrt(np.maximum(views, 1))[:, None]
    features = np.where(views[:, None] > 0, prototypes[truth] + noise, 0.0)
    return Toy(xyz, features, views, truth)
