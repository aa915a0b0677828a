"""Fréchet distance: by hand, against the matrix square root, singular cases, bias, permutation by group."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy.linalg import sqrtm

from imbdense.core.shift import frechet_distance, frechet_shift, prepare_pair
from imbdense.core.shift.frechet import permuted_distances
from imbdense.core.shift.moments import group_index, subset_moments
from tests.core.shift.samples import grouped, noise


def with_moments(mean: list[float], covariance: np.ndarray, n: int = 50) -> np.ndarray:
    """Vectors with exactly this mean and covariance."""
    raw = noise(n, len(mean), 1)
    raw -= raw.mean(axis=0)
    raw = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw.T))).T
    return raw @ np.linalg.cholesky(covariance).T + mean


def pair_of(a: np.ndarray, b: np.ndarray, seed: int = 0):
    return prepare_pair(a, np.arange(len(a)), b, np.arange(len(b)), seed=seed)


def test_by_hand():
    """Means (3, 4) apart, I against 4 I: 25 + 2 + 8 - 2 * (2 + 2) = 27."""
    found = frechet_distance(with_moments([0, 0], np.eye(2)), with_moments([3, 4], 4 * np.eye(2)))
    assert found.mean_term == pytest.approx(25) and found.covariance_term == pytest.approx(2)
    assert found.value == pytest.approx(27)


def test_like_the_square_root_of_a_matrix():
    a, b = noise(80, 6, 2) @ noise(6, 6, 3), noise(70, 6, 4) @ noise(6, 6, 5) + 0.5
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    slow = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real)
    assert frechet_distance(a, b).value == pytest.approx(slow, rel=1e-8)
    assert frechet_distance(b, a).value == pytest.approx(slow, rel=1e-8)


@pytest.mark.parametrize(
    'vectors', [noise(300, 16, 0), noise(20, 64, 0), np.ones((9, 3)), noise(40, 3, 1) * [1, 0, 1e3]]
)
def test_a_set_is_at_no_distance_from_itself(vectors):
    """Also with singular covariances and fewer vectors than dimensions."""
    found = frechet_distance(vectors, vectors[::-1])
    assert abs(found.value) < 1e-8 * max(1.0, float(vectors.var()))


def test_singular_against_singular():
    a = np.zeros((10, 2))
    a[:, 0] = np.arange(10)
    assert frechet_distance(a, a[:, ::-1]).covariance_term == pytest.approx(2 * np.var(np.arange(10), ddof=1))


def test_what_cannot_be_measured_has_a_reason():
    assert math.isnan(frechet_distance(np.zeros((1, 2)), np.zeros((5, 2))).value)
    assert 'two vectors' in frechet_distance(np.zeros((1, 2)), np.zeros((5, 2))).reason
    assert 'not finite' in frechet_distance(np.full((3, 2), np.nan), np.zeros((5, 2))).reason
    with pytest.raises(ValueError, match=r'\(3, 2\) and \(3, 4\)'):
        frechet_distance(np.zeros((3, 2)), np.zeros((3, 4)))
    few = frechet_shift(pair_of(noise(5, 3, 0), noise(50, 3, 1)))
    assert math.isnan(few.fd_inf) and math.isnan(few.excess) and '5 images' in few.reason
    assert 'no feature' in frechet_shift(pair_of(np.ones((30, 2)), np.ones((30, 2)))).reason


def test_moments_of_subsets_are_those_of_the_rows():
    vectors, groups = noise(40, 5, 0), np.random.default_rng(0).integers(0, 9, 40)
    index, count = group_index(groups * 7)
    weights = (np.random.default_rng(1).random((3, count)) < 0.6).astype(float)
    found = subset_moments(vectors, index, weights)
    for row in range(3):
        part = vectors[weights[row][index] > 0]
        assert found.mean()[row] == pytest.approx(part.mean(axis=0))
        assert found.covariance()[row] == pytest.approx(np.cov(part.T))


def test_raw_distance_is_bias_and_the_limit_is_not():
    """d = 16, n = 1000, equal distributions: E[FD] is about (2 d + d² / 2) / n = 0.16."""
    raws = [frechet_distance(noise(1000, 16, s), noise(1000, 16, 100 + s)).value for s in range(10)]
    assert np.mean(raws) == pytest.approx(0.16, abs=0.02)
    limits = [frechet_shift(pair_of(noise(1000, 16, s), noise(1000, 16, 100 + s)), permutations=9) for s in range(10)]
    assert abs(np.mean([found.fd_inf for found in limits])) < 0.01
    assert np.mean([found.null_mean for found in limits]) == pytest.approx(0.16, abs=0.02)


def halves(repeats: int) -> tuple[float, float]:
    """(share of repeats with FD∞ within 2 standard errors and p > .05, smallest raw distance): n = 200, d = 256."""
    good, raw = 0, []
    for seed in range(repeats):
        data = noise(400, 256, seed)
        found = frechet_shift(pair_of(data[:200], data[200:], seed), seed=seed)
        good += abs(found.fd_inf) < 2 * found.standard_error and found.p_value > 0.05
        raw.append(frechet_distance(data[:200], data[200:]).value)
    return good / repeats, min(raw)


def power(repeats: int) -> float:
    """Share of repeats with p < .05: mean shift of .5 in 8 of 256 dimensions, n = 500."""
    found = 0
    for seed in range(repeats):
        b = noise(500, 256, 1000 + seed)
        b[:, :8] += 0.5
        found += frechet_shift(pair_of(noise(500, 256, seed), b, seed), seed=seed).p_value < 0.05
    return found / repeats


def test_bias_is_gone_and_a_shift_is_found():
    share, raw = halves(20)
    assert raw > 10 and share >= 0.9
    assert power(10) >= 0.8


@pytest.mark.slow
def test_bias_is_gone_and_a_shift_is_found_in_fifty_repeats():
    share, raw = halves(50)
    assert raw > 10 and share >= 0.9
    assert power(50) >= 0.8


def test_exchange_of_images_is_not_exchange_of_pixels():
    """Images that differ among each other: pixels exchanged singly find a shift between equal sets of images."""
    by_image, by_pixel = [], []
    for seed in range(10):
        (a, groups_a), (b, groups_b) = grouped(40, 30, 6, seed), grouped(40, 30, 6, 50 + seed)
        by_image.append(frechet_shift(prepare_pair(a, groups_a, b, groups_b), permutations=99).p_value)
        by_pixel.append(frechet_shift(pair_of(a, b), permutations=99).p_value)
    assert np.mean(np.array(by_image) < 0.05) <= 0.2 and np.mean(np.array(by_pixel) < 0.05) == 1.0


def test_the_pair_is_equal_in_size_and_blind_to_units():
    (a, groups_a), (b, groups_b) = grouped(30, 20, 5, 0), grouped(90, 20, 5, 1)
    pair = prepare_pair(a, groups_a, b, groups_b)
    assert pair.a.shape == pair.b.shape and np.unique(pair.groups_b).size == 30
    scale = np.array([1e-3, 1, 10, 1e4, 5])
    other = prepare_pair(a * scale + 7, groups_a, b * scale + 7, groups_b)
    one, two = (frechet_shift(p, permutations=19) for p in (pair, other))
    assert one.fd_inf == pytest.approx(two.fd_inf, abs=1e-8) and one.p_value == two.p_value
    assert prepare_pair(noise(100, 256, 0), np.arange(100), noise(100, 256, 1), np.arange(100)).dim == 5


def test_permutations_are_fast():
    """20 000 vectors a side of 64 axes in 400 images: 199 permutations."""
    a, b = noise(20_000, 64, 0), noise(20_000, 64, 1)
    pair = prepare_pair(a, np.arange(20_000) % 400, b, np.arange(20_000) % 400)
    start = time.process_time()
    permuted_distances(pair, 199, np.random.default_rng(0))
    assert time.process_time() - start < 10
