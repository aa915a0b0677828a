"""The modes of a class: the kinds of objects that its features fall into."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.core.selection.feature_rows import FeatureRows
from imbdense.core.selection.kmeans import kmeans

GROUPS = 256
DIMENSION_ROWS = 2048


@dataclass(frozen=True)
class Modes:
    """Clusters of the objects of a class, as many as the features speak for.

    Attributes:
        labels: (n,) int64 in [0, K). centroids: (K, D) float32.
    """

    labels: NDArray[np.int64]
    centroids: NDArray[np.float32]

    @property
    def count(self) -> int:
        """K."""
        return len(self.centroids)

    @property
    def share(self) -> NDArray[np.float64]:
        """(K,) of the objects."""
        size = np.bincount(self.labels, minlength=self.count).astype(np.float64)
        return size / max(size.sum(), 1.0)

    def of(self, features: FeatureRows) -> NDArray[np.int64]:
        """(m,) the nearest mode of other objects."""
        found = np.zeros(len(features), dtype=np.int64)
        for place, block in features.chunks(features.chunk_rows(self.count)):
            values = block.cpu().numpy()
            distance = (self.centroids**2).sum(axis=1) - 2 * values @ self.centroids.T
            found[place] = distance.argmin(axis=1)
        return found


def find_modes(features: FeatureRows, max_modes: int = 20, seed: int = 0) -> Modes:
    """Cluster a class into as many modes as its features support.

    k-means makes at most 256 groups; Ward's rule merges the two whose union adds the least to the squared distances,
    again and again (k-means alone with few clusters keeps to poor optima when some modes are rare). Of K = 1 ...
    min(``max_modes``, n / 2) that one is taken whose Akaike criterion for spherical Gaussians with one common variance
    is best::

        sum_k n_k log(n_k / n) - d n / 2 log(2 pi v) - d (n - K) / 2 - K (d + 1),   v = inertia / d / (n - K)

    (The Bayesian criterion of X-means, K (d + 1) / 2 log n, misses the modes of classes with few objects.)

    d is the participation ratio tr(S)^2 / tr(S^2) of the covariance S and not the number of channels: features of a
    network vary in few directions, and counting all of them would take every bit of shape for another mode. (Noise
    that really fills hundreds of directions evenly is cut into ``max_modes`` pieces.)

    Args:
        features: (n, D). max_modes: >= 1, the largest K.

    Time: one k-means with 256 clusters; memory: that, and 256 x 256 numbers.

    Source: likelihood of Pelleg & Moore, X-means, ICML 2000; penalty of Akaike, 1974; Ward, 1963; d is our change.
    """
    count = len(features)
    if count == 0:
        return Modes(np.zeros(0, np.int64), np.zeros((0, features.dim), np.float32))
    groups = kmeans(features, GROUPS, seed=seed)
    size = np.bincount(groups.labels).astype(np.float64)
    dimension = effective_dimension(features)
    best: NDArray[np.int64] = np.zeros(len(size), np.int64)
    best_value, inertia = -math.inf, groups.inertia
    for labels, added in ward_merges(groups.centroids.astype(np.float64), size):
        inertia += added
        clusters = int(labels.max()) + 1
        if clusters <= max(min(max_modes, count // 2), 1):
            value = _criterion(np.bincount(labels, size).astype(np.float64), inertia, dimension)
            if value > best_value:
                best, best_value = labels, value
    total = np.zeros((int(best.max()) + 1, features.dim))
    np.add.at(total, best, groups.centroids * size[:, None])
    return Modes(best[groups.labels], (total / np.bincount(best, size)[:, None]).astype(np.float32))


def ward_merges(
    centroids: NDArray[np.float64], size: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.int64], float]]:
    """Merge weighted points step by step; yields (labels (m,) in [0, K), inertia added by the merge) for K = m ... 1.

    The cost of a merge is n_a n_b / (n_a + n_b) ||c_a - c_b||^2; ties go to the lowest pair.
    """
    centroids, size = centroids.copy(), size.copy()
    labels = np.arange(len(size))
    yield labels.copy(), 0.0
    squared = (centroids**2).sum(axis=1)
    cost = np.maximum(squared[:, None] + squared[None] - 2 * centroids @ centroids.T, 0)
    cost *= size[:, None] * size[None] / (size[:, None] + size[None])
    np.fill_diagonal(cost, np.inf)
    for _ in range(len(size) - 1):
        first, second = sorted(divmod(int(cost.argmin()), len(size)))
        added = float(cost[first, second])
        total = size[first] + size[second]
        centroids[first] = (size[first] * centroids[first] + size[second] * centroids[second]) / total
        size[first] = total
        labels[labels == second] = first
        cost[second] = cost[:, second] = np.inf
        fresh = ((centroids - centroids[first]) ** 2).sum(axis=1) * size * total / (size + total)
        fresh[np.isinf(cost[first])] = np.inf
        cost[first] = cost[:, first] = fresh
        yield np.unique(labels, return_inverse=True)[1], added


def effective_dimension(features: FeatureRows) -> float:
    """tr(S)^2 / tr(S^2), at least 1, on up to 2048 evenly spaced rows."""
    step = max(1, len(features) // DIMENSION_ROWS)
    values = features[np.arange(0, len(features), step)[:DIMENSION_ROWS]].double().cpu().numpy()
    values = values - values.mean(axis=0)
    gram = values @ values.T if len(values) < values.shape[1] else values.T @ values
    squared = float((gram**2).sum())
    return max(float(np.trace(gram)) ** 2 / squared, 1.0) if squared > 0 else 1.0


def _criterion(size: NDArray[np.float64], inertia: float, dimension: float) -> float:
    """The larger the better."""
    count, clusters = float(size.sum()), len(size)
    variance = max(inertia / (dimension * max(count - clusters, 1.0)), 1e-12)
    likelihood = (
        float((size * np.log(size / count)).sum())
        - dimension * count / 2 * math.log(2 * math.pi * variance)
        - dimension * (count - clusters) / 2)
    return likelihood - clusters * (dimension + 1)
