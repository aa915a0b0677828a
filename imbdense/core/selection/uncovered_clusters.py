"""As few clusters of a class as give enough of them that no labelled image has shown yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.core.selection.kmeans import KMeansResult


@dataclass(frozen=True)
class ClusterPlan:
    """The clusters of one class, and which of them are new.

    Attributes:
        result: of k-means. uncovered: cluster ids without a covered object, largest first, ties by the lowest id.
        covered: number of clusters that hold a covered object. runs: of k-means, for the report.
    """

    result: KMeansResult
    uncovered: NDArray[np.int64]
    covered: int
    runs: int

    @property
    def num_clusters(self) -> int:
        """K."""
        return len(self.result.centroids)


def plan_clusters(
    cluster: Callable[[int], KMeansResult], covered: NDArray[np.bool_], wanted: int
) -> ClusterPlan:
    """The smallest number of clusters of which at least ``wanted`` hold no covered object, found by bisection.

    m covered objects touch at most m clusters, so K = wanted + m is always enough where the class has that many
    objects; K lies in [wanted, min(n, wanted + m)]. The number of uncovered clusters hardly ever falls with K, which
    is what bisection takes for granted: at most 1 + ceil(log2(m + 1)) runs, and the result has enough uncovered
    clusters whatever the numbers between did. With fewer objects than that the largest K is taken: every object by
    itself.

    Args:
        cluster: K -> k-means of the class.
        covered: (n,) whether each object lies in a labelled or chosen image.
        wanted: new clusters to find, 1 ... n.
    """
    low, high = wanted, min(len(covered), wanted + int(covered.sum()))
    best: ClusterPlan | None = None
    runs = 0
    while low < high:
        middle = (low + high) // 2
        plan = _uncovered(cluster(middle), covered)
        runs += 1
        if len(plan.uncovered) >= wanted:
            best, high = plan, middle
        else:
            low = middle + 1
    if best is None or best.num_clusters != high:
        best, runs = _uncovered(cluster(high), covered), runs + 1
    return ClusterPlan(best.result, best.uncovered, best.covered, runs)


def _uncovered(result: KMeansResult, covered: NDArray[np.bool_]) -> ClusterPlan:
    """Which clusters of a result are new."""
    num_clusters = len(result.centroids)
    size = np.bincount(result.labels, minlength=num_clusters)
    touched = np.bincount(result.labels[covered], minlength=num_clusters) > 0
    new = np.flatnonzero(~touched & (size > 0))
    return ClusterPlan(result, new[np.argsort(-size[new], kind='stable')], int(touched.sum()), 1)
