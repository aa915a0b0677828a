"""As few clusters as give enough uncovered ones."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.selection.kmeans import KMeansResult, kmeans
from imbdense.core.selection.quotas import class_order, quota
from imbdense.core.selection.uncovered_clusters import plan_clusters


def features_of(seed: int, count: int) -> np.ndarray:
    """Normal features."""
    return np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)


@pytest.mark.parametrize('seed', range(5))
def test_enough_uncovered_clusters_and_few_runs(seed: int) -> None:
    features = features_of(seed, 200)
    covered = np.random.default_rng(seed).random(200) < 0.3
    wanted, called = 10, []

    def cluster(k: int) -> KMeansResult:
        called.append(k)
        return kmeans(features, k, seed=seed)

    plan = plan_clusters(cluster, covered, wanted)
    assert len(plan.uncovered) >= wanted
    assert wanted <= plan.num_clusters <= wanted + covered.sum()
    assert plan.runs == len(called) <= 1 + np.ceil(np.log2(covered.sum() + 1))
    assert plan.covered + len(plan.uncovered) == plan.num_clusters
    for new in plan.uncovered:
        assert not covered[plan.result.labels == new].any()
    sizes = [(plan.result.labels == new).sum() for new in plan.uncovered]
    assert sizes == sorted(sizes, reverse=True)


def test_nothing_covered_is_one_run() -> None:
    plan = plan_clusters(lambda k: kmeans(features_of(0, 30), k, seed=0), np.zeros(30, bool), 7)
    assert plan.runs == 1 and plan.num_clusters == 7 and len(plan.uncovered) == 7


def test_fewer_objects_than_that_take_the_largest_number() -> None:
    covered = np.array([True, True, True, False])
    plan = plan_clusters(lambda k: kmeans(features_of(0, 4), k, seed=0), covered, 2)
    assert plan.num_clusters == 4 and len(plan.uncovered) == 1


def test_order_and_quota() -> None:
    counts = np.array([5, 0, 2, 5, 9])
    assert class_order(counts, 'rarest_first') == [2, 0, 3, 4]
    assert class_order(counts, 'frequent_first') == [4, 0, 3, 2]
    assert [quota(10, n, True) for n in (1, 3, 4)] == [10, 4, 3]
    assert quota(10, 4, False) == 2.5
