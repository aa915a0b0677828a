"""Fréchet distance between two sets of feature vectors, its limit for many samples, and its permutation null."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_integer
from imbdense.core.shift.moments import Floats, Moments, group_index, subset_moments
from imbdense.core.shift.pair import VectorPair

SIZES, DRAWS, BLOCKS = 8, 10, 20
FEWEST_GROUPS = 8


@dataclass(frozen=True)
class FrechetDistance:
    """Fréchet distance of two Gaussians.

    Attributes:
        mean_term: squared distance of the means. covariance_term: what the covariances add. reason: why they are NaN.
    """

    mean_term: float
    covariance_term: float
    reason: str = ''

    @property
    def value(self) -> float:
        """The distance."""
        return self.mean_term + self.covariance_term


@dataclass(frozen=True)
class FrechetShift:
    """The distance without its bias, and what chance alone gives.

    Attributes:
        fd_inf: limit of the distance for many samples. standard_error: of ``fd_inf``.
        raw: plain distance of the equalised samples, bias included.
        null_mean: mean of the distance under exchanged groups. p_value: share of exchanges at least as far apart.
        reason: why the numbers are NaN; '' when they are not.
    """

    fd_inf: float
    standard_error: float
    raw: FrechetDistance
    null_mean: float
    p_value: float
    reason: str = ''

    @property
    def excess(self) -> float:
        """Distance above what chance gives, ``raw.value - null_mean``."""
        return self.raw.value - self.null_mean

    @classmethod
    def unknown(cls, reason: str) -> FrechetShift:
        """All NaN, with the reason."""
        return cls(math.nan, math.nan, FrechetDistance(math.nan, math.nan, reason), math.nan, math.nan, reason)


def frechet_distance(a: NDArray[np.floating], b: NDArray[np.floating]) -> FrechetDistance:
    """Fréchet distance between the Gaussians of two samples.

    ::

        FD = |mu_a - mu_b|² + tr(S_a + S_b) - 2 tr((S_a^½ S_b S_a^½)^½)

    with covariances of divisor n - 1. The trace of the root is the sum of the singular values of S_a^½ S_b^½ (the same
    numbers), whose digits survive singular covariances; roots come from symmetric eigendecompositions in float64 with
    negative eigenvalues set to 0.

    Args:
        a: (n, d). b: (m, d). Constant features and n < d are fine.

    Returns:
        NaN terms with a reason when a side has fewer than two vectors or a value is not finite.

    Source: Dowson & Landau, J. Multivariate Analysis 12, 1982; Heusel et al., NIPS 2017.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f'frechet_distance: expected (n, d) and (m, d), but got {a.shape} and {b.shape}.')
    if min(len(a), len(b)) < 2:
        return FrechetDistance(math.nan, math.nan, f'a covariance needs two vectors, there are {len(a)} and {len(b)}')
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return FrechetDistance(math.nan, math.nan, 'there are vectors that are not finite')
    center = a.mean(axis=0)
    one = np.ones((1, 1))
    pair = [subset_moments(x - center, np.zeros(len(x), np.int64), one) for x in (a, b)]
    mean, covariance = frechet_terms(*pair)
    return FrechetDistance(float(mean[0]), float(covariance[0]))


def frechet_terms(a: Moments, b: Moments) -> tuple[Floats, Floats]:
    """(mean term, covariance term) of R pairs of moments, both (R,); see :func:`frechet_distance`."""
    gap = a.mean() - b.mean()
    cov_a, cov_b = a.covariance(), b.covariance()
    known = (a.count >= 2) & (b.count >= 2)
    term = np.full(len(known), np.nan)
    root = _root(cov_a[known]) @ _root(cov_b[known])
    traces = np.trace(cov_a[known], axis1=1, axis2=2) + np.trace(cov_b[known], axis1=1, axis2=2)
    term[known] = traces - 2.0 * np.linalg.svd(root, compute_uv=False).sum(axis=-1)
    return (gap**2).sum(axis=1), term


def _root(matrices: Floats) -> Floats:
    """Symmetric square roots."""
    values, vectors = np.linalg.eigh(matrices)
    return (vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]) @ vectors.transpose(0, 2, 1)


def frechet_shift(pair: VectorPair, *, permutations: int = 199, seed: int = 0) -> FrechetShift:
    """Distance of a prepared pair: limit for many samples, standard error, and permutation p-value.

    The plain distance of two equal distributions is about (2 d + d² / 2) / n and not 0. So

    * subsets of 8 log-spaced numbers of groups between a quarter and all are drawn 10 times each, and
      ``FD_n = a + b / n`` is fitted by least squares with weights n² (the standard deviation of FD_n falls like 1 / n
      where the distributions are equal); ``fd_inf`` = a;
    * its standard error joins that of the fit with a jackknife over 20 blocks of groups (the subsets overlap, so the
      fit alone would be too sure of itself);
    * ``permutations`` times whole groups (images) change sides. Pixels of one image resemble each other; exchanging
      them singly would find a shift between any two sets of images.

    Args:
        pair: see :func:`~imbdense.core.shift.pair.prepare_pair`.
        permutations: R; p = (1 + exchanges at least as far apart) / (R + 1).
        seed: of the draws.
    """
    check_integer('permutations', permutations, low=1, owner='frechet_shift')
    if pair.reason:
        return FrechetShift.unknown(pair.reason)
    groups = min(group_index(pair.groups_a)[1], group_index(pair.groups_b)[1])
    if groups < FEWEST_GROUPS:
        return FrechetShift.unknown(f'{groups} images on a side, {FEWEST_GROUPS} are needed')
    rng = np.random.default_rng(seed)
    value, error, raw = _limit(pair, rng)
    null = permuted_distances(pair, permutations, rng)
    p_value = (1 + int((null >= raw.value - 1e-12).sum())) / (permutations + 1)
    return FrechetShift(value, error, raw, float(null.mean()), p_value)


def permuted_distances(pair: VectorPair, permutations: int, rng: np.random.Generator) -> Floats:
    """(R,) distances when whole groups are dealt anew to the two sides."""
    index_a, groups_a = group_index(pair.groups_a)
    index_b, groups_b = group_index(pair.groups_b)
    index = np.concatenate([index_a, index_b + groups_a])
    weights = np.zeros((permutations + 1, groups_a + groups_b))
    for row in weights[:-1]:
        row[rng.permutation(groups_a + groups_b)[:groups_a]] = 1.0
    weights[-1] = 1.0
    found = subset_moments(np.concatenate([pair.a, pair.b]), index, weights)
    one = Moments(found.count[:-1], found.total[:-1], found.second[:-1])
    everything = Moments(found.count[-1:], found.total[-1:], found.second[-1:])
    return np.add(*frechet_terms(one, everything - one))


def _limit(pair: VectorPair, rng: np.random.Generator) -> tuple[float, float, FrechetDistance]:
    """(limit, its standard error, plain distance); rows of weights: everything, jackknife, subsets."""
    sides, share = [], np.empty(0)
    for vectors, groups in ((pair.a, pair.groups_a), (pair.b, pair.groups_b)):
        index, count = group_index(groups)
        sizes = np.unique(np.geomspace(max(count / 4.0, 2.0), count, SIZES).round().astype(int))
        rows = [np.ones(count)]
        blocks = rng.permutation(np.arange(count) % min(BLOCKS, count))
        rows += [(blocks != block).astype(np.float64) for block in range(blocks.max() + 1)]
        for size in sizes:
            for _ in range(DRAWS):
                rows.append(np.zeros(count))
                rows[-1][rng.choice(count, size, replace=False)] = 1.0
        share = np.repeat(sizes / count, DRAWS)
        sides.append(subset_moments(vectors, index, np.stack(rows)))
    mean, covariance = frechet_terms(*sides)
    total = mean + covariance
    left_out, subsets = total[1 : len(total) - len(share)], total[len(total) - len(share) :]
    number = min(len(pair.a), len(pair.b)) * share
    value, fit_error = _intercept(1.0 / number, subsets, number**2)
    blocks_used = len(left_out)
    jackknife = (blocks_used - 1) / blocks_used * ((left_out - left_out.mean()) ** 2).sum()
    return value, math.sqrt(fit_error**2 + jackknife), FrechetDistance(float(mean[0]), float(covariance[0]))


def _intercept(x: Floats, y: Floats, weight: Floats) -> tuple[float, float]:
    """(a, standard error) of the weighted fit y = a + b x."""
    design = np.stack([np.ones_like(x), x], axis=1)
    inverse = np.linalg.inv(design.T @ (weight[:, None] * design))
    slope = inverse @ (design.T @ (weight * y))
    noise = (weight * (y - design @ slope) ** 2).sum() / max(len(x) - 2, 1)
    return float(slope[0]), math.sqrt(noise * inverse[0, 0])
