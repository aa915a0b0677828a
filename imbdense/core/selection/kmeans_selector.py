"""The rows nearest to the centroids of k-means."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_integer
from imbdense.core.selection.feature_selector import FeatureSelector, FeatureTable, Level, Pick
from imbdense.core.selection.kmeans import KMeansResult, kmeans


class KMeansSelector(FeatureSelector):
    """Cluster the rows into as many clusters as there are labelled and wanted images; take the centre of each.

    Clusters in the order (labelled rows, fewest first; size, largest first; number); from each in turn the row nearest
    to its centroid that is not taken, again and again while images are wanted. k-means: see
    :func:`imbdense.core.selection.kmeans`.

    Args:
        level, normalize: see :class:`FeatureSelector`.
        max_iter: moves of the centroids.

    Time 2 n K D per iteration.
    """

    def __init__(self, level: Level = 'object', normalize: bool = True, max_iter: int = 25) -> None:
        super().__init__(level, normalize)
        self.max_iter = check_integer('max_iter', max_iter, low=0, owner='KMeansSelector')

    def order(self, table: FeatureTable) -> Iterator[Pick]:
        """See :class:`FeatureSelector`."""
        clusters = kmeans(
            table.features, table.labelled + table.budget, seed=table.task.seed, max_iter=self.max_iter)
        labels = clusters.labels.copy()
        labels[table.seeds] = -1
        by_distance = np.lexsort((np.arange(len(table)), clusters.distances, labels))
        edges = np.searchsorted(labels[by_distance], np.arange(len(clusters.centroids) + 1))
        members = [by_distance[a:b] for a, b in pairwise(edges)]
        order = cluster_order(clusters, table.seeds)
        turn = 0
        while order:
            for cluster in order:
                if turn < len(members[cluster]):
                    row = int(members[cluster][turn])
                    yield Pick(row, float(clusters.distances[row]), 'centre', cluster)
            turn += 1
            order = [cluster for cluster in order if turn < len(members[cluster])]


def cluster_order(clusters: KMeansResult, seeds: NDArray[np.int64]) -> list[int]:
    """Clusters with the fewest labelled rows first, then the largest, then the lowest number."""
    count = len(clusters.centroids)
    known = np.bincount(clusters.labels[seeds], minlength=count)
    size = np.bincount(clusters.labels, minlength=count)
    return [int(c) for c in np.lexsort((np.arange(count), -size, known))]
