"""Clusters of a group of objects, and bins of equally many members by distance within each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.selection.equal_frequency import equal_frequency_bins
from imbdense.core.selection.kmeans import kmeans
from imbdense.core.selection.reduced_features import principal_components, standardize

DistanceSpace = Literal['cluster', 'raw']
KRule = Literal['sqrt', 'tiles_per_cluster']
FEWEST = 32
"""Groups with fewer members are one cluster."""


@dataclass(frozen=True, eq=False)
class ClusterBins:
    """Cluster, bin and distance of the n rows of a group.

    Attributes:
        clusters: (n,) int64 in [0, K), no cluster is empty.
        bins: (n,) int64, 0 = nearest to the centre.
        distances: (n,) float64 to the centre of the own cluster, in the space that was asked for.
        centroids: (K, d) float32 of the clusters in the space that was clustered.
        reduced: (n, d) float32, the rows in that space.
    """

    clusters: NDArray[np.int64]
    bins: NDArray[np.int64]
    distances: NDArray[np.float64]
    centroids: NDArray[np.float32]
    reduced: NDArray[np.float32]


def number_of_clusters(rows: int, rule: KRule = 'sqrt', tiles_per_cluster: int = 400) -> int:
    """ceil(sqrt(n)) or ceil(n / tiles_per_cluster); 1 for fewer than 32 rows."""
    if rows < FEWEST:
        return 1
    return math.isqrt(rows - 1) + 1 if rule == 'sqrt' else -(-rows // tiles_per_cluster)


def cluster_and_bin(
    features: Tensor,
    num_clusters: int,
    *,
    num_bins: int = 5,
    pca_dim: int = 256,
    distance_space: DistanceSpace = 'cluster',
    seed: int = 0,
) -> ClusterBins:
    """Standardise, reduce, cluster and cut into bins the rows of one group.

    1. ``v = PCA(standardised features)`` with at most ``pca_dim`` components;
    2. k-means on v; 3. ``d_i = ||v_i - c||`` to the centre of the own cluster;
    4. bins of equally many members by d, ties by row.

    Args:
        features: (n, D) float32, finite, n >= 1.
        num_clusters: k; equal rows, or k = 1, make one cluster.
        num_bins: g >= 1.
        pca_dim: most components.
        distance_space: 'cluster' measures d in the space that was clustered; 'raw' to the mean of the members in the
            features as they are, as the published code does.
        seed: of k-means and of the rows that PCA looks at in large groups.

    Memory: three float32 copies of the group. Deterministic for a seed.

    Source: DeepCluster++ of STARC-9, arXiv 2511.00383.
    """
    reduced = principal_components(standardize(features), pca_dim, seed)
    if num_clusters == 1 or not bool(reduced.any()):
        clusters: NDArray[np.int64] = np.zeros(len(reduced), np.int64)
    else:
        clusters = kmeans(reduced, num_clusters, seed=seed).labels
    centroids = _means(reduced, clusters)
    measured = features if distance_space == 'raw' else reduced
    distances = _distances(measured, _means(features, clusters) if distance_space == 'raw' else centroids, clusters)
    bins = equal_frequency_bins(distances, clusters, num_bins)
    return ClusterBins(clusters, bins, distances, centroids.float().cpu().numpy(), reduced.cpu().numpy())


def _means(values: Tensor, clusters: NDArray[np.int64]) -> Tensor:
    """(K, d) float64 mean of the members of each cluster."""
    index = torch.as_tensor(clusters, device=values.device)
    sums = torch.zeros(int(clusters.max()) + 1, values.shape[1], dtype=torch.float64, device=values.device)
    for chunk, own in zip(values.split(8192), index.split(8192)):
        sums.index_add_(0, own, chunk.double())
    return sums / torch.bincount(index)[:, None]


def _distances(values: Tensor, centres: Tensor, clusters: NDArray[np.int64]) -> NDArray[np.float64]:
    """Euclidean distance to the own centre, from differences in float64: rows that are equal, and the two rows of a
    cluster of two, get exactly equal distances."""
    index = torch.as_tensor(clusters, device=values.device)
    parts = [
        (chunk.double() - centres[own]).square().sum(1).sqrt()
        for chunk, own in zip(values.split(8192), index.split(8192))
    ]
    return torch.cat(parts).cpu().numpy()
