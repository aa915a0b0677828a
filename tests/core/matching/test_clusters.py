"""Matching of clusters with classes and of rounds with each other, by hand and against all permutations."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from imbdense.core.matching import match_centroids, match_clusters


def test_best_of_all_permutations() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        table = rng.integers(0, 50, (4, 4))
        best = max(sum(table[order[k], k] for k in range(4)) for order in permutations(range(4)))
        owner = match_clusters(table)
        assert sum(table[owner[k], k] for k in range(4)) == best and sorted(owner.tolist()) == [0, 1, 2, 3]


def test_more_and_fewer_clusters_than_classes_and_absent_classes() -> None:
    assert match_clusters(np.array([[9, 1, 8], [0, 5, 0]])).tolist() == [0, 1, -1]
    assert match_clusters(np.array([[9], [10]])).tolist() == [1]
    assert match_clusters(np.array([[0, 0], [3, 5]])).tolist() == [-1, 1]  # class 0 does not occur
    assert match_clusters(np.array([[9, 1, 8, 0], [0, 5, 0, 0]]), many_to_one=True).tolist() == [0, 1, 0, -1]
    assert match_clusters(np.zeros((3, 2), int), many_to_one=True).tolist() == [-1, -1]
    assert match_clusters(np.zeros((0, 2), int)).tolist() == [-1, -1]
    with pytest.raises(ValueError, match='counts'):
        match_clusters(np.array([1, 2]))


def test_rounds_are_lined_up() -> None:
    rng = np.random.default_rng(1)
    before = rng.normal(size=(6, 5))
    order = rng.permutation(6)
    after = 3 * before[order] + rng.normal(size=(6, 5)) * 0.01
    found = match_centroids(before, after)
    assert np.array_equal(order[found], np.arange(6))
    with pytest.raises(ValueError, match='both must be'):
        match_centroids(before, after[:5])
