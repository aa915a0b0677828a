"""Kernel density of counts, and what it keeps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from imbdense.core.pseudo_label import (
    count_density,
    inverse_density,
    inverse_density_subsample,
    overlapped_box_count,
)

COUNTS = [5, 5, 5, 6, 50]


def test_hand_example() -> None:
    h2 = 5**-0.4 * 400.7
    assert np.var(COUNTS, ddof=1) == pytest.approx(400.7) and h2 == pytest.approx(210.49, abs=5e-3)
    at_five = (3 + math.exp(-1 / (2 * h2)) + math.exp(-(45**2) / (2 * h2))) / (5 * math.sqrt(2 * math.pi * h2))
    assert count_density(COUNTS)[0] == pytest.approx(at_five, rel=1e-13)
    assert inverse_density(COUNTS) == pytest.approx([0.12702, 0.12702, 0.12702, 0.12711, 0.49184], abs=5e-6)
    assert inverse_density_subsample(COUNTS, 2, seed=0).size == 2


@pytest.mark.parametrize('size', [2, 3, 10, 400, 3000])
def test_agrees_with_scipy(size: int) -> None:
    counts = np.random.default_rng(size).negative_binomial(2, 0.02, size)
    counts[:2] = [1, 900]
    assert count_density(counts) == pytest.approx(stats.gaussian_kde(counts)(counts), rel=1e-12, abs=0)


def all_pairs(counts: np.ndarray) -> np.ndarray:
    """One kernel for each pair of distinct counts."""
    values, place, times = np.unique(counts, return_inverse=True, return_counts=True)
    h2 = counts.size**-0.4 * counts.var(ddof=1)
    kernel = np.exp((values[:, None] - values) ** 2 / (-2 * h2))
    return (kernel @ times / (counts.size * math.sqrt(2 * math.pi * h2)))[place]


@pytest.mark.parametrize(
    'table',
    [
        np.ones(2500, int), [2, 3], [10**6, *[0] * 5000, 1], [*[3333] * 300, *[0] * 600, 1, *[0] * 100, 2],
        np.random.default_rng(0).integers(0, 5, 1025) ** 4,
    ],
    ids=['flat', 'two', 'far apart', 'bulk and outliers', 'rough'],
)  # fmt: skip
def test_transform_is_the_sum_over_all_pairs(table: list[int]) -> None:
    """Also where the largest density is 10^6 times the smallest, which the draw depends on most."""
    counts = np.repeat(np.arange(len(table)), table)
    np.testing.assert_allclose(count_density(counts), all_pairs(counts), rtol=1e-12)


def test_multiplicities_are_the_sum_over_pairs() -> None:
    counts = np.array([3, 3, 3, 7, 7, 20, 21])
    h2 = counts.size**-0.4 * counts.var(ddof=1)
    slow = [
        sum(math.exp(-((x - v) ** 2) / (2 * h2)) for v in counts) / (counts.size * math.sqrt(2 * math.pi * h2))
        for x in counts
    ]
    assert count_density(counts) == pytest.approx(slow, rel=1e-13)
    order = np.random.default_rng(0).permutation(counts.size)
    assert count_density(counts[order]) == pytest.approx(np.array(slow)[order], rel=1e-13)


@pytest.mark.parametrize('counts', [[7], [4, 4, 4]])
def test_degenerate_counts_are_uniform(counts: list[int]) -> None:
    with pytest.raises(ValueError, match='no bandwidth'):
        count_density(counts)
    assert inverse_density(counts) == pytest.approx(np.full(len(counts), 1 / len(counts)))
    assert inverse_density_subsample(counts, 3.0, seed=1).size == 1


def test_numbers_kept() -> None:
    counts = np.arange(10)
    for rate, expected in ((1, 10), (1.0, 10), (2, 5), (3, 3), (2.5, 4), (10, 1), (11, 1), (1e9, 1)):
        kept = inverse_density_subsample(counts, rate, seed=0)
        assert kept.size == expected == len(set(kept.tolist())) and (np.diff(kept) > 0).all()
    assert inverse_density_subsample([], 2, seed=0).tolist() == []


def test_seeds() -> None:
    counts = np.random.default_rng(0).integers(0, 100, 200)
    first = inverse_density_subsample(counts, 4, seed=(3, 1, 0))
    assert first.tolist() == inverse_density_subsample(counts, 4, seed=(3, 1, 0)).tolist()
    assert first.tolist() != inverse_density_subsample(counts, 4, seed=(3, 2, 0)).tolist()


@pytest.mark.parametrize('rate', [0.9, 0, -1, float('nan')])
def test_rates_below_one_are_refused(rate: float) -> None:
    with pytest.raises(ValueError, match='rate'):
        inverse_density_subsample(COUNTS, rate, seed=0)


@pytest.mark.parametrize('counts', [[1.5, 2], [-1, 2], [[1, 2]]])
def test_other_values_are_refused(counts: list) -> None:
    with pytest.raises(ValueError, match='whole numbers'):
        inverse_density(counts)


def test_drawn_with_the_inverse_density() -> None:
    """One draw of five, many times: frequencies are the probabilities (chi-square)."""
    draws = np.concatenate([inverse_density_subsample(COUNTS, 5, seed=seed) for seed in range(4000)])
    seen = np.bincount(draws, minlength=5)
    assert stats.chisquare(seen, 4000 * inverse_density(COUNTS)).pvalue > 0.01
    assert stats.chisquare(seen).pvalue < 1e-10, 'a uniform draw would look different'


def generated_counts(rng: np.random.Generator) -> np.ndarray:
    """OBC of 600 objects: nine of ten of the usual shape, proposed often; the others odd, and proposed seldom."""
    counts = []
    for _ in range(30):
        centres = rng.uniform(0, 1000, (20, 2))
        odd = rng.random(20) < 0.1
        sizes = np.where(odd[:, None], rng.uniform(5, 120, (20, 2)), rng.normal(30, 2, (20, 2)))
        boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)
        often = np.where(odd, rng.integers(1, 30, 20), rng.poisson(40, 20))
        owner = np.repeat(np.arange(20), often)
        jitter = rng.normal(0, 0.08, (owner.size, 4)) * np.tile(sizes[owner], 2)
        clutter = rng.uniform(0, 1000, (200, 2))
        noise = np.concatenate([clutter, clutter + rng.uniform(5, 60, (200, 2))], axis=1)
        proposals = np.concatenate([boxes[owner] + jitter, noise])
        counts.append(overlapped_box_count(boxes, proposals, rng.random(len(proposals))))
    return np.concatenate(counts)


def entropy(counts: np.ndarray, edges: np.ndarray) -> float:
    return float(stats.entropy(np.histogram(counts, edges)[0]))


def test_subsample_is_more_diverse_than_a_uniform_one() -> None:
    counts = generated_counts(np.random.default_rng(0))
    edges = np.linspace(0, counts.max() + 1, 13)
    gains = []
    for seed in range(20):
        kept = inverse_density_subsample(counts, 5, seed=seed)
        uniform = np.random.default_rng([seed, 1]).choice(counts.size, kept.size, replace=False)
        gains.append(entropy(counts[kept], edges) - entropy(counts[uniform], edges))
    assert stats.ttest_1samp(gains, 0, alternative='greater').pvalue < 0.05
    assert np.mean(gains) > 0.1
