"""The density of overlapped-boxes counts against kernel density estimates that compare all pairs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gaussian_kde

from imbdense.benchmark.speed_case import SpeedCase, Workload, require_close
from imbdense.core.pseudo_label import count_density

OBJECTS, PROPOSALS = 6000, 1024


def density(scale: float) -> Workload:
    """Counts of up to 1024 proposals with a long tail; nearly every value occurs, so the distinct ones are many."""
    counts = _counts(int(OBJECTS * scale), PROPOSALS)
    return Workload(lambda: count_density(counts), lambda: gaussian_kde(counts)(counts), _equal)


def distinct(scale: float) -> Workload:
    """Six objects for each of 1024 distinct counts and more."""
    largest = int(PROPOSALS * scale)
    counts = _counts(6 * largest, largest)
    return Workload(lambda: count_density(counts), lambda: distinct_pairs(counts), _equal)


def distinct_pairs(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """The density with one kernel for each pair of distinct counts."""
    values, place, times = np.unique(counts, return_inverse=True, return_counts=True)
    width = counts.size**-0.4 * counts.var(ddof=1)
    kernel = np.exp((values[:, None] - values) ** 2 / (-2 * width))
    at_counts: NDArray[np.float64] = (kernel @ times / (counts.size * math.sqrt(2 * math.pi * width)))[place]
    return at_counts


def _counts(objects: int, largest: int) -> NDArray[np.int64]:
    """Whole numbers from 0 to ``largest``, frequent low ones and a long tail."""
    return np.minimum(np.random.default_rng(0).negative_binomial(1, 4 / largest, objects), largest)


def _equal(ours: Any, peer: Any) -> str:
    """The relative difference."""
    return require_close('density, relative', ours / peer, np.ones(peer.size), 1e-12)


CASES = (
    # Growth from 3e5 to 1.2e6 objects: below, the grid of counts is the larger part, and that does not grow.
    SpeedCase('obc-kde', 'kernel density of overlapped-boxes counts, 6000 objects', 'scipy gaussian_kde', 0.01, density,
              small=50.0),
    SpeedCase('obc-kde-distinct', 'the same, 1024 distinct counts', 'all pairs of distinct counts', 0.3, distinct,
              growth=5.5, small=4.0),
)
