"""Clusters and bins of one group: space of the distances, small and equal groups, repeatable."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbdense.core.selection.cluster_bins import cluster_and_bin, number_of_clusters


def blobs(sizes: tuple[int, ...] = (40, 60, 25), dim: int = 6) -> tuple[torch.Tensor, np.ndarray]:
    rng = np.random.default_rng(0)
    centres = 20 * rng.normal(size=(len(sizes), dim))
    parts = np.repeat(np.arange(len(sizes)), sizes)
    return torch.from_numpy((centres[parts] + rng.normal(size=(len(parts), dim))).astype(np.float32)), parts


def test_the_two_rows_of_a_cluster_are_as_far_and_go_by_their_number() -> None:
    pairs = np.random.default_rng(0).normal(size=(40, 1, 12)) * 50 + np.random.default_rng(1).normal(size=(40, 2, 12))
    found = cluster_and_bin(torch.from_numpy(pairs.reshape(80, 12).astype(np.float32)), 40, distance_space='raw')
    assert (np.bincount(found.clusters) == 2).all()
    assert found.bins.tolist() == [0, 1] * 40


def test_number_of_clusters() -> None:
    assert [number_of_clusters(n) for n in (1, 31, 32, 100, 101, 600, 160_000)] == [1, 1, 6, 10, 11, 25, 400]
    assert [number_of_clusters(n, 'tiles_per_cluster') for n in (31, 400, 401, 160_000)] == [1, 1, 2, 400]


def test_clusters_are_found_and_bins_grow_outwards() -> None:
    features, parts = blobs()
    runs = [cluster_and_bin(features, 3, seed=seed) for seed in range(10)]
    pairs = [len(set(zip(run.clusters.tolist(), parts.tolist()))) for run in runs]
    assert pairs.count(3) >= 8  # one start of k-means may join two blobs and cut the third
    found = runs[pairs.index(3)]
    for cluster in range(3):
        own = found.clusters == cluster
        assert np.ptp(np.bincount(found.bins[own], minlength=5)) <= 1
        for b in range(4):
            assert found.distances[own & (found.bins == b)].max() <= found.distances[own & (found.bins == b + 1)].min()


def test_distance_is_to_the_mean_of_the_members() -> None:
    features, _ = blobs()
    for space in ('cluster', 'raw'):
        found = cluster_and_bin(features, 3, distance_space=space, seed=0)
        values = features.numpy() if space == 'raw' else found.reduced
        for cluster in range(3):
            own = found.clusters == cluster
            expected = np.linalg.norm(values[own] - values[own].mean(0), axis=1)
            assert np.allclose(found.distances[own], expected, atol=1e-4)


def test_the_two_spaces_differ_when_one_feature_is_large() -> None:
    """Unscaled, a feature of 1000 times the size alone decides who is near."""
    features, _ = blobs()
    features[:, 0] *= 1000
    raw = cluster_and_bin(features, 3, distance_space='raw', seed=0)
    own = cluster_and_bin(features, 3, seed=0)
    assert np.array_equal(raw.clusters, own.clusters) and (raw.bins != own.bins).mean() > 0.3


@pytest.mark.parametrize('rows', [1, 3, 7])
def test_equal_rows_are_one_cluster_in_the_order_of_the_rows(rows: int) -> None:
    found = cluster_and_bin(torch.ones(rows, 4), 3, seed=0)
    assert found.clusters.tolist() == [0] * rows and found.distances.tolist() == [0.0] * rows
    assert found.bins.tolist() == sorted(found.bins.tolist())
    assert found.bins.max() == min(rows, 5) - 1


def test_repeatable() -> None:
    features, _ = blobs((300, 300))
    first, second = (cluster_and_bin(features, 25, pca_dim=4, seed=1) for _ in range(2))
    assert np.array_equal(first.clusters, second.clusters) and np.array_equal(first.bins, second.bins)
