"""k-means for tables of features that need not fit in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.selection.distances import CentreTable, distances_to_origin, origin_of
from imbdense.core.selection.feature_rows import FeatureRows, Features, as_feature_rows
from imbdense.core.selection.plus_plus import plus_plus_rows

SAMPLE_PER_CLUSTER = 256


@dataclass(frozen=True, eq=False)
class KMeansResult:
    """Clusters.

    Attributes:
        centroids: (K, D) float32; K = min(clusters asked for, N).
        labels: (N,) int64 in [0, K); every cluster has a row.
        distances: (N,) float32, squared distance of each row to its centroid.
        inertia: their sum, each times the weight of its row.
        iterations: how often the centroids were moved.
    """

    centroids: NDArray[np.float32]
    labels: NDArray[np.int64]
    distances: NDArray[np.float32]
    inertia: float
    iterations: int


def kmeans(
    features: Features,
    num_clusters: int,
    *,
    seed: int,
    max_iter: int = 25,
    tol: float = 1e-4,
    spherical: bool = False,
    backend: Literal['auto', 'torch', 'faiss'] = 'auto',
    chunk_rows: int | None = None,
    weights: NDArray[Any] | None = None,
    init: NDArray[Any] | None = None,
) -> KMeansResult:
    """Cluster rows by Lloyd's algorithm, started by k-means++ on at most 256 * K rows drawn without replacement.

    All rows are used in every iteration. A cluster that loses its last row takes the row that lies farthest from its
    centroid, so that none is empty. Equal arguments give equal results; a row as near to two centroids goes to the one
    with the lower number.

    Args:
        features: (N, D) array (may be a memory map, float16 or float32), tensor, or :class:`FeatureRows`; finite.
        num_clusters: >= 1; N < num_clusters gives N clusters of one row.
        seed: of the draws.
        max_iter: at most so many moves of the centroids.
        tol: stop when the inertia changes by at most this share of itself.
        spherical: centroids get unit length after every move (for rows of unit length).
        backend: 'torch'; 'faiss' moves the centroids with faiss from the same start (always ``max_iter`` times, all
            rows, which it holds in memory as float32); 'auto' is 'torch', whatever is installed.
        chunk_rows: rows per matrix product; ``None`` = what fits a cache.
        weights: (N,) finite, > 0: how much each row counts for the draws, the centroids and the inertia; 'torch' only.
        init: (K, D) centroids to start from in place of drawn rows.

    Returns:
        :class:`KMeansResult`; N = 0 gives no clusters.

    Time 2 N K D per iteration. Memory beyond the features: 16 N + 16 K D bytes and a chunk, and the rows themselves up
    to 512 MB.

    Raises:
        ValueError: a number out of range; ``features`` is not (N, D).
        ImportError: ``backend='faiss'`` without faiss.
    """
    check_integer('num_clusters', num_clusters, low=1, owner='kmeans')
    check_integer('max_iter', max_iter, low=0, owner='kmeans')
    check_number('tol', tol, low=0.0, owner='kmeans')
    check_choice('backend', backend, ('auto', 'torch', 'faiss'), owner='kmeans')
    rows = as_feature_rows(features)
    mass = _check_weights(weights, len(rows), backend)
    if len(rows) <= num_clusters:
        return _one_row_each(rows, spherical, mass)
    centroids = _drawn(rows, num_clusters, seed, mass) if init is None else torch.from_numpy(np.array(init, np.float64))
    centroids = _unit(centroids.to(rows.device), spherical)
    lloyd = _Lloyd(rows, chunk_rows or rows.chunk_rows(num_clusters), spherical, mass)
    if backend == 'faiss':
        return lloyd.run(_moved_by_faiss(rows, centroids, seed, max_iter, spherical), 0, tol, max_iter)
    return lloyd.run(centroids, max_iter, tol)


def _drawn(rows: FeatureRows, num_clusters: int, seed: int, mass: NDArray[np.float64] | None) -> Tensor:
    """K rows by k-means++, (K, D) float64."""
    rng = np.random.default_rng(seed)
    size = min(len(rows), SAMPLE_PER_CLUSTER * num_clusters)
    sample = np.arange(size) if size == len(rows) else np.sort(rng.choice(len(rows), size, replace=False))
    part = rows.subset(sample) if size < len(rows) else rows
    start = sample[plus_plus_rows(part, num_clusters, rng, None if mass is None else mass[sample])]
    return rows[start].double()


class _Lloyd:
    """The iterations over one table."""

    def __init__(
        self, rows: FeatureRows, chunk_rows: int, spherical: bool, weights: NDArray[np.float64] | None = None
    ) -> None:
        self._rows, self._chunk_rows, self._spherical = rows, chunk_rows, spherical
        self._weights = None if weights is None else torch.from_numpy(weights).to(rows.device)
        self._origin = origin_of(rows)
        self._from_origin = distances_to_origin(rows, self._origin, chunk_rows)
        self._labels = torch.full((len(rows),), -1, device=rows.device)
        self._distances = torch.empty(len(rows), device=rows.device)

    def run(self, centroids: Tensor, max_iter: int, tol: float, done: int = 0) -> KMeansResult:
        """Move (K, D) float64 centroids at most ``max_iter`` times; ``done`` moves were made before."""
        before, moves = 0.0, 0
        sums = torch.zeros_like(centroids)
        while True:
            counts = self._assign(centroids, sums)
            self._fill_empty(centroids, sums, counts)
            inertia = self._inertia()
            settled = moves > 0 and abs(before - inertia) <= tol * before
            if settled or moves == max_iter or inertia == 0.0:
                break
            centroids = _unit(sums / self._mass(counts)[:, None], self._spherical)
            before, moves = inertia, moves + 1
        return KMeansResult(
            centroids.float().cpu().numpy(), self._labels.cpu().numpy(), self._distances.cpu().numpy(), inertia,
            moves + done)

    def _inertia(self) -> float:
        """Sum of the weighted distances."""
        if self._weights is None:
            return float(self._distances.sum(dtype=torch.float64))
        return float(self._distances.double() @ self._weights)

    def _mass(self, counts: Tensor) -> Tensor:
        """What the sum of each cluster is divided by."""
        if self._weights is None:
            return counts
        return torch.bincount(self._labels, self._weights, minlength=len(counts))

    def _assign(self, centroids: Tensor, sums: Tensor) -> Tensor:
        """Label all rows; those that change their cluster take their values along in ``sums``, which float64 makes
        exact enough to go on for all iterations. The number of rows of each cluster."""
        table, first = CentreTable(centroids, self._origin), bool(self._labels[0] < 0)
        for place, block in self._rows.chunks(self._chunk_rows):
            self._distances[place], label = table.nearest(block)
            before = self._labels[place]
            changed = torch.nonzero(label != before)[:, 0]
            if len(changed):
                values = (block[changed] if len(changed) < len(block) else block).double()
                if self._weights is not None:
                    values = values * self._weights[place][changed, None]
                sums.index_add_(0, label[changed], values)
                if not first:
                    sums.index_add_(0, before[changed], values, alpha=-1)
                self._labels[place] = label
        self._distances.add_(self._from_origin).clamp_min_(0)
        return torch.bincount(self._labels, minlength=len(centroids))

    def _fill_empty(self, centroids: Tensor, sums: Tensor, counts: Tensor) -> None:
        """Give each cluster without rows the row farthest from its centroid, of a cluster that has another one."""
        empty = torch.nonzero(counts == 0)[:, 0].tolist()
        if not empty:
            return
        order = torch.argsort(self._distances, descending=True, stable=True)
        place = 0
        for cluster in empty:
            while counts[self._labels[order[place]]] < 2:
                place += 1
            row = int(order[place])
            place += 1
            self._move(row, cluster, centroids, sums, counts)

    def _move(self, row: int, cluster: int, centroids: Tensor, sums: Tensor, counts: Tensor) -> None:
        """Make one row a cluster of its own."""
        values = self._rows[slice(row, row + 1)][0].double()
        donor = int(self._labels[row])
        weighted = values if self._weights is None else values * self._weights[row]
        sums[donor] -= weighted
        counts[donor] -= 1
        sums[cluster], counts[cluster] = weighted, 1
        centroids[cluster] = _unit(values[None], self._spherical)[0]
        self._labels[row] = cluster
        self._distances[row] = (values - centroids[cluster]).square().sum()


def _unit(centroids: Tensor, spherical: bool) -> Tensor:
    """Unit length for spherical k-means; a centroid at zero stays there."""
    return centroids / centroids.norm(dim=1, keepdim=True).clamp_min(1e-12) if spherical else centroids


def _check_weights(weights: NDArray[Any] | None, size: int, backend: str) -> NDArray[np.float64] | None:
    """(N,) float64, finite and > 0."""
    if weights is None:
        return None
    if backend == 'faiss':
        raise ValueError("kmeans: backend='faiss' takes no weights; use 'torch'.")
    values = np.asarray(weights, np.float64)
    if values.shape != (size,) or not np.isfinite(values).all() or (values <= 0).any():
        raise ValueError(f'kmeans: weights must be {size} finite numbers > 0, one per row; rows that do not count are '
                         'left out of the features.')
    return values


def _one_row_each(rows: FeatureRows, spherical: bool, weights: NDArray[np.float64] | None) -> KMeansResult:
    """As many clusters as rows."""
    values = rows[slice(0, len(rows))]
    centroids = _unit(values.double(), spherical)
    distances = (values.double() - centroids).square().sum(1).float().cpu().numpy()
    return KMeansResult(
        centroids.float().cpu().numpy(), np.arange(len(rows), dtype=np.int64), distances,
        float(distances.sum(dtype=np.float64) if weights is None else distances.astype(np.float64) @ weights), 0)


def _moved_by_faiss(rows: FeatureRows, start: Tensor, seed: int, max_iter: int, spherical: bool) -> Tensor:
    """Centroids after ``max_iter`` moves by faiss, which would otherwise take 256 rows per cluster without a word."""
    import faiss

    solver = faiss.Kmeans(
        rows.dim, len(start), niter=max_iter, seed=seed % 2**31, spherical=spherical, min_points_per_centroid=1,
        max_points_per_centroid=len(rows))
    origin = torch.zeros(rows.dim) if spherical else origin_of(rows).cpu()  # loses less to cancellation
    table = torch.empty(len(rows), rows.dim)
    for place, block in rows.chunks(rows.chunk_rows()):
        table[place] = block.cpu() - origin
    solver.train(table.numpy(), init_centroids=(start.cpu() - origin).float().numpy())
    return (torch.from_numpy(np.array(solver.centroids)).double() + origin).to(start)
