"""Thinning the ordinary: objects are kept with a probability inverse to the density of their OBC.

Chen et al.: Revisiting Domain-Adaptive 3D Object Detection by Reliable, Diverse and Class-balanced Pseudo-Labeling.
ICCV 2023.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from imbdense.core.checks import check_number

Floats = NDArray[np.float64]


def count_density(counts: ArrayLike) -> Floats:
    """Return the Gaussian kernel density of whole numbers at those numbers, (n,) float64::

        f(x) = sum_v m_v N(x - v; 0, h^2) / n        h^2 = n^(-2/5) var(counts, ddof=1)    (Scott)

    over the distinct values v with multiplicities m_v: O(n + g log g) with g the largest count, where a sum over all
    pairs is O(n^2). Nothing is binned or cut off: it agrees with ``scipy.stats.gaussian_kde(counts)(counts)`` to the
    last digits.

    Args:
        counts: (n,) whole numbers >= 0; some tables up to the largest one are held in memory.

    Raises:
        ValueError: other values; fewer than two; or all equal, for then the bandwidth is zero.
    """
    table, values = _table(counts)
    if np.count_nonzero(table) < 2:
        raise ValueError(
            f'count_density: {values.size} counts with fewer than two distinct values have no bandwidth. '
            f'inverse_density() takes this case as uniform.'
        )
    at_counts: Floats = _density(table)[values]
    return at_counts


def inverse_density(counts: ArrayLike) -> Floats:
    """Return the probabilities p_i = (1 / f(x_i)) / sum_j 1 / f(x_j), (n,) float64, of :func:`count_density`.

    Uniform where the density is degenerate: one count, or all counts equal. Empty for no count.

    Example: [5, 5, 5, 6, 50] gives [.12702, .12702, .12702, .12711, .49184].
    """
    table, values = _table(counts)
    if np.count_nonzero(table) < 2:
        return np.full(values.size, 1.0 / max(values.size, 1))
    inverse = 1.0 / _density(table)[values]
    probabilities: Floats = inverse / inverse.sum()
    return probabilities


def inverse_density_subsample(counts: ArrayLike, rate: float, seed: int | Sequence[int]) -> NDArray[np.int64]:
    """Draw floor(n / rate) of n objects, at least one, without replacement with the probabilities p.

    p is that of :func:`inverse_density`: ordinary objects (a count that many have) are thinned, unusual ones stay. It
    is meant for the frequent classes alone; what a rare class has is kept whole.

    Args:
        counts: (n,) OBC of the objects of one class, whole numbers >= 0.
        rate: >= 1; published: 5 (KITTI as target) and 2 (nuScenes as target).
        seed: one number or several, such as (seed, round, class); equal seeds draw equal objects on every rank.

    Returns:
        Sorted int64 indices into ``counts``; empty for no object.

    Raises:
        ValueError: ``rate`` < 1, or counts that are no whole numbers >= 0.
    """
    check_number('rate', rate, low=1.0, owner='inverse_density_subsample')
    probabilities = inverse_density(counts)
    if probabilities.size == 0:
        return np.zeros(0, dtype=np.int64)
    size = max(int(probabilities.size / rate), 1)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    return np.sort(rng.choice(probabilities.size, size, replace=False, p=probabilities))


def _density(table: NDArray[np.int64]) -> Floats:
    """The density at 0, 1, ..., given how often each value occurs.

    Whole numbers lie on a grid, so the kernel is needed at the differences 0, 1, ... only, once each, and the sum over
    all pairs is a convolution: a Fourier transform of twice the grid. Extended precision keeps its rounding, which is
    relative to the *largest* density, below that of float64 at the smallest, which decides the draw. (Where a platform
    has none, unusual counts among 10^6 objects are exact to about 1e-10.)
    """
    values, total = np.arange(table.size, dtype=np.float64), int(table.sum())
    mean = (table * values).sum() / total
    bandwidth = total**-0.4 * (table * (values - mean) ** 2).sum() / (total - 1)
    kernel = np.exp(values**2 / (-2.0 * bandwidth)).astype(np.longdouble)
    length = fft.next_fast_len(2 * table.size - 1, real=True)
    around = np.zeros(length, dtype=np.longdouble)
    around[: table.size] = kernel
    around[length - table.size + 1 :] = kernel[:0:-1]
    spectrum = fft.rfft(table.astype(np.longdouble), length) * fft.rfft(around)
    density: Floats = fft.irfft(spectrum, length)[: table.size].astype(np.float64)
    return density / (total * math.sqrt(2.0 * math.pi * bandwidth))


def _table(counts: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How often each value 0, 1, ... occurs, and the counts as int64."""
    given = np.asarray(counts)
    values = given.astype(np.int64)
    if given.ndim != 1 or not np.array_equal(given, values) or values.min(initial=0) < 0:
        raise ValueError(f'counts must be a list of whole numbers >= 0, but got {given!r}.')
    return np.bincount(values), values
