"""k-means: against Lloyd written out, faiss, and the edges."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from imbdense.core.selection.feature_rows import FeatureRows
from imbdense.core.selection.kmeans import kmeans
from imbdense.core.selection.plus_plus import plus_plus_rows

BACKENDS = ['torch', pytest.param('faiss', marks=pytest.mark.skipif(
    importlib.util.find_spec('faiss') is None, reason='faiss is not installed'))]


def blobs(rows: int = 600, dim: int = 8, clusters: int = 6, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.normal(scale=5, size=(clusters, dim))
    return (centres[np.arange(rows) % clusters] + rng.normal(size=(rows, dim))).astype(np.float32)


def check(x: np.ndarray, result, spherical: bool = False) -> None:
    """What must hold of every result: own centroid nearest, true distances, no empty cluster."""
    exact = ((x[:, None].astype(np.float64) - result.centroids[None]) ** 2).sum(-1)
    own = exact[np.arange(len(x)), result.labels]
    scale = max(1.0, float(np.abs(x).max()) ** 2)
    assert np.allclose(result.distances, own, atol=1e-4 * scale)
    assert np.isclose(result.inertia, own.sum(), rtol=1e-4, atol=1e-4 * scale)
    assert (own <= exact.min(1) + 1e-4 * scale).all()
    assert np.bincount(result.labels, minlength=len(result.centroids)).min() > 0
    assert result.labels.dtype == np.int64 and result.centroids.dtype == result.distances.dtype == np.float32
    if spherical:
        assert np.allclose(np.linalg.norm(result.centroids, axis=1), 1, atol=1e-5)


def lloyd(x: np.ndarray, centroids: np.ndarray, moves: int) -> tuple[np.ndarray, np.ndarray]:
    """The textbook, in float64."""
    for _ in range(moves):
        labels = ((x[:, None] - centroids[None]) ** 2).sum(-1).argmin(1)
        centroids = np.stack([x[labels == c].mean(0) for c in range(len(centroids))])
    return centroids, ((x[:, None] - centroids[None]) ** 2).sum(-1).argmin(1)


@pytest.mark.parametrize('backend', BACKENDS)
def test_equals_the_textbook_from_the_same_start(backend: str) -> None:
    x = blobs()
    start = kmeans(x, 6, seed=3, max_iter=0)
    result = kmeans(x, 6, seed=3, max_iter=4, tol=0, backend=backend)
    centroids, labels = lloyd(x.astype(np.float64), start.centroids.astype(np.float64), result.iterations)
    assert np.array_equal(result.labels, labels) and np.allclose(result.centroids, centroids, atol=1e-4)
    check(x, result)


@pytest.mark.skipif(importlib.util.find_spec('faiss') is None, reason='faiss is not installed')
@pytest.mark.parametrize('spherical', [False, True])
def test_backends_agree_in_inertia_within_one_percent(spherical: bool) -> None:
    x = np.random.default_rng(0).normal(size=(3000, 16)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    one, two = (kmeans(x, 40, seed=0, spherical=spherical, backend=name) for name in ('torch', 'faiss'))
    assert abs(one.inertia / two.inertia - 1) < 0.01
    check(x, one, spherical)
    check(x, two, spherical)


def test_uses_all_rows_also_beyond_256_per_cluster() -> None:
    """One centroid is the mean of all rows, of which only 256 are drawn for the start."""
    x = np.random.default_rng(0).normal(size=(5000, 3)).astype(np.float32)
    assert np.allclose(kmeans(x, 1, seed=0).centroids[0], x.mean(0), atol=1e-5)


@pytest.mark.parametrize('backend', BACKENDS)
def test_far_from_the_origin_nothing_is_lost(backend: str) -> None:
    x = blobs() + np.float32(1000.0)
    near, far = (kmeans(y, 6, seed=0, tol=0, backend=backend) for y in (blobs(), x))
    assert np.array_equal(near.labels, far.labels)
    assert np.isclose(near.inertia, far.inertia, rtol=1e-2)


def test_same_seed_same_result_whatever_the_chunks_and_the_global_generators() -> None:
    x = np.random.default_rng(0).normal(size=(4000, 5)).astype(np.float32)
    np.random.seed(0)
    torch.manual_seed(0)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    one = kmeans(x, 12, seed=1)
    assert np.array_equal(np.random.get_state()[1], before[0]) and torch.equal(torch.get_rng_state(), before[1])
    two = kmeans(x, 12, seed=1, chunk_rows=333)
    assert np.array_equal(one.labels, two.labels) and np.allclose(one.centroids, two.centroids, atol=1e-5)
    assert not np.array_equal(one.labels, kmeans(x, 12, seed=2).labels)


def test_memory_map_half_precision_and_a_view_of_rows(tmp_path) -> None:
    x = blobs().astype(np.float16)
    stored = np.lib.format.open_memmap(tmp_path / 'f.npy', 'w+', np.float16, x.shape)
    stored[:] = x
    stored.flush()
    expected = kmeans(x.astype(np.float32), 6, seed=0)
    read = kmeans(np.load(tmp_path / 'f.npy', mmap_mode='r'), 6, seed=0)
    assert np.array_equal(read.labels, expected.labels) and np.allclose(read.centroids, expected.centroids, atol=1e-4)
    rows = np.arange(0, 600, 2)
    part = kmeans(FeatureRows(np.load(tmp_path / 'f.npy', mmap_mode='r'), rows), 3, seed=0)
    assert np.array_equal(part.labels, kmeans(x[rows].astype(np.float32), 3, seed=0).labels)


def test_a_cluster_that_loses_its_rows_takes_the_farthest_row() -> None:
    """Six equal rows and two far ones: with four clusters two starts coincide."""
    x = np.array([[0.0]] * 6 + [[10.0], [11.0]], dtype=np.float32)
    result = kmeans(x, 4, seed=0)
    assert np.bincount(result.labels, minlength=4).min() > 0 and result.inertia == 0.0
    assert {10.0, 11.0} <= set(result.centroids[:, 0].tolist())


@pytest.mark.parametrize('rows', [0, 1, 3, 5])
@pytest.mark.parametrize('backend', BACKENDS)
def test_fewer_rows_than_clusters(rows: int, backend: str) -> None:
    x = np.random.default_rng(0).normal(size=(rows, 4)).astype(np.float32)
    result = kmeans(x, 5, seed=0, backend=backend)
    assert np.array_equal(result.centroids, x) and result.labels.tolist() == list(range(rows))
    assert result.inertia == 0.0 and result.iterations == 0


@pytest.mark.parametrize('backend', BACKENDS)
def test_identical_rows(backend: str) -> None:
    result = kmeans(np.full((50, 3), 2.5, dtype=np.float32), 4, seed=0, backend=backend)
    assert result.inertia < 1e-2 and np.bincount(result.labels, minlength=4).min() > 0  # faiss moves copies a little


def test_stops_when_the_inertia_settles() -> None:
    x = np.random.default_rng(0).normal(size=(3000, 6)).astype(np.float32)
    early, late = kmeans(x, 10, seed=0, tol=0.05), kmeans(x, 10, seed=0, tol=0)
    assert early.iterations < late.iterations == 25 and early.inertia > late.inertia


def test_arguments_are_checked() -> None:
    x = blobs(20)
    for wrong in ({'num_clusters': 0}, {'max_iter': -1}, {'tol': -1.0}, {'backend': 'sklearn'}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            kmeans(x, **{'num_clusters': 2, 'seed': 0, **wrong})
    with pytest.raises(ValueError, match=r'shape \(N, D\)'):
        kmeans(x[0], 2, seed=0)


def test_plus_plus_draws_by_squared_distance() -> None:
    """Points 0, 1, 3 (weights by multiplicity): frequencies of the second centre against the formula."""
    x = FeatureRows(np.array([[0.0], [1.0], [3.0]], dtype=np.float32))
    pairs = np.zeros((3, 3))
    for seed in range(3000):
        first, second = plus_plus_rows(x, 2, np.random.default_rng(seed))
        pairs[first, second] += 1
    squared = np.array([[0, 1, 9], [1, 0, 4], [9, 4, 0]])
    expected = squared / squared.sum(1, keepdims=True) / 3
    assert np.abs(pairs / 3000 - expected).max() < 0.03


def test_plus_plus_of_many_centres_has_the_textbook_spread() -> None:
    """The mean potential after 60 draws equals that of the loop that draws one by one."""
    x = blobs(900, 4, 30)

    def potential(drawn: np.ndarray) -> float:
        return float(((x[:, None] - x[drawn][None]) ** 2).sum(-1).min(1).mean())

    def one_by_one(rng: np.random.Generator) -> np.ndarray:
        drawn = [int(rng.integers(len(x)))]
        nearest = ((x - x[drawn[0]]) ** 2).sum(1).astype(np.float64)
        while len(drawn) < 60:
            drawn.append(int(rng.choice(len(x), p=nearest / nearest.sum())))
            nearest = np.minimum(nearest, ((x - x[drawn[-1]]) ** 2).sum(1))
        return np.array(drawn)

    rows = FeatureRows(x)
    ours = [potential(plus_plus_rows(rows, 60, np.random.default_rng(s))) for s in range(60)]
    slow = [potential(one_by_one(np.random.default_rng(s))) for s in range(60)]
    error = np.hypot(np.std(ours), np.std(slow)) / np.sqrt(60)
    assert abs(np.mean(ours) - np.mean(slow)) < 3.5 * error


def test_plus_plus_of_duplicates_returns_different_rows() -> None:
    x = FeatureRows(np.repeat(np.array([[0.0], [1.0]], dtype=np.float32), 10, axis=0))
    drawn = plus_plus_rows(x, 15, np.random.default_rng(0))
    assert len(set(drawn.tolist())) == 15 and {int(i) // 10 for i in drawn[:2]} == {0, 1}
