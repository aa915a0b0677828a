"""TypiClust: the most typical row of each cluster."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_integer
from imbdense.core.selection.feature_rows import FeatureRows
from imbdense.core.selection.feature_selector import FeatureSelector, FeatureTable, Level, Pick
from imbdense.core.selection.kmeans import kmeans
from imbdense.core.selection.kmeans_selector import cluster_order
from imbdense.core.selection.knn import nearest_neighbours

SMALL_CLUSTER = 5


class TypiClust(FeatureSelector):
    """Take the row in the densest part of each cluster: for very small budgets, before any label.

    k-means into min(labelled + wanted images, ``max_clusters``) clusters. Clusters of at most 5 rows are left out
    (unless all are so small); the others are visited in turn, those with the fewest labelled rows first, then the
    largest. In a cluster the row of largest typicality is taken, among its n rows that are not labelled or taken::

        typicality = 1 / (mean squared distance to the k nearest of these rows + 1e-5),   k = min(20, floor(n / 2))

    Neighbours are looked for inside the cluster only. When the clusters run dry, the small ones follow.

    Args:
        level, normalize: see :class:`FeatureSelector`.
        max_clusters: most clusters.
        neighbours: most neighbours.

    Time: k-means, and 2 n_c^2 D per picked row of a cluster of n_c rows.

    Source: Hacohen et al., Active learning on a budget, ICML 2022.
    """

    def __init__(
        self, level: Level = 'object', normalize: bool = True, max_clusters: int = 500, neighbours: int = 20
    ) -> None:
        super().__init__(level, normalize)
        self.max_clusters = check_integer('max_clusters', max_clusters, low=1, owner='TypiClust')
        self.neighbours = check_integer('neighbours', neighbours, low=1, owner='TypiClust')

    def order(self, table: FeatureTable) -> Iterator[Pick]:
        """See :class:`FeatureSelector`."""
        clusters = kmeans(
            table.features, min(table.labelled + table.budget, self.max_clusters), seed=table.task.seed)
        size = np.bincount(clusters.labels)
        free = clusters.labels.copy()
        free[table.seeds] = -1
        by_cluster = np.argsort(free, kind='stable')
        edges = np.searchsorted(free[by_cluster], np.arange(len(size) + 1))
        order = cluster_order(clusters, table.seeds)
        small = [cluster for cluster in order if size[cluster] <= SMALL_CLUSTER]
        large = [cluster for cluster in order if size[cluster] > SMALL_CLUSTER]
        members = {cluster: by_cluster[edges[cluster] : edges[cluster + 1]] for cluster in order}
        for group in (large, small):
            yield from self._in_turn(table.features, group, members)

    def _in_turn(
        self, rows: FeatureRows, order: list[int], members: dict[int, NDArray[np.int64]]
    ) -> Iterator[Pick]:
        """One row of each cluster, round after round."""
        order = [cluster for cluster in order if len(members[cluster])]
        while order:
            for cluster in order:
                index = members[cluster]
                values = typicality(rows.subset(index), self.neighbours)
                best = int(values.argmax())
                yield Pick(int(index[best]), float(values[best]), 'typical', cluster)
                members[cluster] = np.delete(index, best)
            order = [cluster for cluster in order if len(members[cluster])]


def typicality(rows: FeatureRows, neighbours: int = 20) -> NDArray[np.float32]:
    """1 / (mean squared distance to the k nearest other rows + 1e-5), k = min(neighbours, floor(n / 2)).

    Returns:
        (n,) float32; ones for a single row.

    Example: rows 0, 1, 1.2, 5: mean squared distances 1.22, .52, .74, 15.22, so row 1 is the most typical.
    """
    k = min(neighbours, len(rows) // 2)
    if k == 0:
        return np.ones(len(rows), dtype=np.float32)
    distances = nearest_neighbours(rows, k, metric='l2')[1]
    return (1 / (distances.mean(axis=1) + 1e-5)).astype(np.float32)
