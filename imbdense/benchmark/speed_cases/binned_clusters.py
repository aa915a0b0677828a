"""Selection of a slide's tiles by clusters and bins against the same steps in scikit-learn and numpy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from imbdense.benchmark.speed_case import SpeedCase, Unequal, Workload
from imbdense.core.selection import BinnedClusterSelector, ObjectPool, cluster_and_bin
from imbdense.core.selection.cells import Cells, reference_quotas
from imbdense.core.selection.equal_frequency import equal_frequency_bins

TILES, FEATURES, BINS, FRACTION = 600, 512, 5, 0.2


@dataclass(frozen=True, eq=False)
class PeerResult:
    """Clusters, distances and bins of all tiles, and the drawn ones."""

    clusters: NDArray[np.int64]
    distances: NDArray[np.float64]
    bins: NDArray[np.int64]
    drawn: NDArray[np.int64]
    inertia: float


def with_scikit_learn(features: NDArray[np.float32], clusters: int) -> PeerResult:
    """Standardise, PCA to 256, mini-batch k-means (2048 rows, 100 iterations, 3 starts), distances to the mean of the
    members in the raw features, five bins of equally many, a fifth of each but at least one."""
    reduced = PCA(min(256, *features.shape), random_state=42).fit_transform(StandardScaler().fit_transform(features))
    fitted = MiniBatchKMeans(clusters, batch_size=2048, max_iter=100, n_init=3, random_state=42).fit(reduced)
    rng = np.random.default_rng(42)
    distances, bins, drawn = np.zeros(len(features)), np.zeros(len(features), np.int64), []
    for cluster in np.unique(fitted.labels_):
        rows = np.flatnonzero(fitted.labels_ == cluster)
        distances[rows] = np.linalg.norm(features[rows] - features[rows].mean(0), axis=1)
        for number, part in enumerate(np.array_split(rows[np.argsort(distances[rows], kind='stable')], BINS)):
            bins[part] = number
            if part.size:
                drawn.append(rng.choice(part, max(1, int(FRACTION * part.size)), replace=False))
    return PeerResult(fitted.labels_.astype(np.int64), distances, bins, np.concatenate(drawn), float(fitted.inertia_))


def slide(scale: float) -> Workload:
    """Tiles of 40 tissues of unequal share with features like those of a pooled encoder."""
    rng = np.random.default_rng(0)
    rows = int(TILES * scale)
    kind = rng.choice(40, rows, p=np.geomspace(40, 1, 40) / np.geomspace(40, 1, 40).sum())
    features = np.maximum(rng.normal(size=(40, FEATURES))[kind] + 0.7 * rng.normal(size=(rows, FEATURES)), 0)
    features = features.astype(np.float32)
    ones = np.ones(rows, np.float32)
    pool = ObjectPool(
        ['tile'], [str(i) for i in range(rows)], np.arange(rows), np.zeros(rows, np.int32), ones,
        np.zeros((rows, 4), np.float32), ones, features,
    )  # fmt: skip
    clusters = math.ceil(math.sqrt(rows))
    selector = BinnedClusterSelector(allocation='reference', fraction=FRACTION, distance_space='raw')

    def check(ours: Any, peer: PeerResult) -> str:
        bins = equal_frequency_bins(peer.distances, peer.clusters, BINS)
        if not np.array_equal(bins, peer.bins):
            raise Unequal(f'{int((bins != peer.bins).sum())} of {rows} tiles lie in other bins for the same clusters')
        size = np.unique(peer.clusters * BINS + bins, return_counts=True)[1]
        quota = reference_quotas(Cells(np.zeros((size.size, 4), np.int64), size, np.zeros_like(size)), FRACTION, 1)
        if quota.sum() != peer.drawn.size:
            raise Unequal(f'{quota.sum()} tiles drawn for the same clusters, {peer.drawn.size} by the peer')
        binned = cluster_and_bin(torch.from_numpy(features), clusters)
        means = binned.centroids[binned.clusters]
        inertia = float(np.square(binned.reduced - means, dtype=np.float64).sum())
        if inertia > 1.1 * peer.inertia:  # another local optimum: the peer takes the best of several starts
            raise Unequal(f'inertia {inertia:.4g}, that of the peer {peer.inertia:.4g}')
        return f'same bins and draws for the same clusters; inertia {inertia / peer.inertia:.3f} of the peer\'s'

    return Workload(lambda: selector(pool, rows // 5), lambda: with_scikit_learn(features, clusters), check)


CASES = (
    # k grows with the root of the tiles: eight times the work in k-means, four times in the rest.
    SpeedCase('binned-clusters', 'clusters, distance bins and draw for a slide of 600 tiles x 512 features, k = 25',
              'scikit-learn, numpy', 0.65, slide, growth=8.0, small=1.0),
)
