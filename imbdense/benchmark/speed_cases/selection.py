"""Choosing from tables of features: k-centre, k-means and nearest neighbours, against the loop and against faiss."""

from __future__ import annotations

import os
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imbdense.benchmark.speed_case import SpeedCase, Unequal, Workload, require_close
from imbdense.core.selection import FeatureRows, KMeansResult, kmeans, nearest_neighbours
from imbdense.core.selection.farthest_first import farthest_first
from imbdense.core.selection.nearest_centre import NearestCentre

DIM = 384


@lru_cache(maxsize=3)
def table(rows: int) -> NDArray[np.float32]:
    """Rows around 200 means."""
    rng = np.random.default_rng(0)
    means = rng.normal(scale=0.7, size=(200, DIM)).astype(np.float32)
    return means[rng.integers(200, size=rows)] + rng.standard_normal((rows, DIM), dtype=np.float32)


def _ours(rows: FeatureRows, centres: int) -> list[int]:
    """The lazy traversal from row 0."""
    nearest = NearestCentre(rows)
    nearest.add(np.array([0]))
    return [row for row, _ in islice(farthest_first(nearest, 4096), centres)]


def _subtract(x: NDArray[np.float32], centres: int) -> list[int]:
    """The loop as it is usually written."""
    nearest = ((x - x[0]) ** 2).sum(1)
    found = []
    for _ in range(centres):
        found.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, ((x - x[found[-1]]) ** 2).sum(1))
    return found


def _multiply(x: torch.Tensor, centres: int) -> list[int]:
    """The loop with |x|^2 + |c|^2 - 2 x.c and everything in place."""
    squared = x.square().sum(1)
    nearest = torch.addmv(squared, x, x[0], alpha=-2).add_(squared[0])
    found = []
    for _ in range(centres):
        found.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, torch.addmv(squared, x, x[found[-1]], alpha=-2).add_(squared[found[-1]]))
    return found


def _same_rows(ours: list[int], peer: list[int]) -> str:
    """The order of choice."""
    if ours != peer:
        raise Unequal(f'the orders part at place {next(i for i, (a, b) in enumerate(zip(ours, peer)) if a != b)}')
    return f'the same {len(ours)} rows in the same order'


def k_centre(scale: float, rows: int, centres: int, fast_peer: bool) -> Workload:
    """Greedy k-centre from row 0."""
    x = table(int(rows * scale))
    view, tensor = FeatureRows(x), torch.from_numpy(x)
    return Workload(
        lambda: _ours(view, centres),
        (lambda: _multiply(tensor, centres)) if fast_peer else (lambda: _subtract(x, centres)), _same_rows)


def one_thread_faiss() -> Any:
    """faiss with one thread, and with the code its matrix product has for this processor.

    The OpenBLAS 0.3.15 in faiss-cpu takes processors that are newer than itself for the oldest ones and multiplies four
    times slower than it can; beating that would prove nothing.
    """
    cpu = Path('/proc/cpuinfo')
    flags = cpu.read_text(encoding='utf-8').split('flags', 1)[-1].split('\n', 1)[0].split() if cpu.exists() else []
    known = next((core for flag, core in (('avx512bw', 'SkylakeX'), ('avx2', 'Haswell')) if flag in flags), None)
    if known is not None:
        os.environ.setdefault('OPENBLAS_CORETYPE', known)  # read when faiss loads its library
    import faiss

    faiss.omp_set_num_threads(1)
    return faiss


def clusters(scale: float) -> Workload:
    """k-means with 100 clusters and ten moves, labels included; all rows on both sides."""
    faiss = one_thread_faiss()
    x = table(int(50_000 * scale))

    def peer() -> float:
        solver = faiss.Kmeans(DIM, 100, niter=10, max_points_per_centroid=len(x), seed=0)
        solver.train(x)
        return float(solver.index.search(x, 1)[0].sum(dtype=np.float64))

    def check(ours: KMeansResult, theirs: float) -> str:
        if ours.inertia > 1.01 * theirs:
            raise Unequal(f'inertia is {ours.inertia / theirs:.3f} of the peer')
        return f'inertia {ours.inertia / theirs:.4f} of the peer, after as many moves'

    return Workload(lambda: kmeans(x, 100, seed=0, max_iter=10, tol=0.0), peer, check)


def _neighbours(scale: float, peer: str) -> Workload:
    """The ten nearest of 50 000 rows to 2000 queries."""
    x = table(int(50_000 * scale))
    queries = x[:: len(x) // 2000][:2000] + np.float32(0.1)
    if peer == 'faiss':
        index = one_thread_faiss().IndexFlatL2(DIM)
        index.add(x)

        def theirs() -> Any:
            return index.search(queries, 10)[::-1]
    else:
        from sklearn.neighbors import NearestNeighbors

        search = NearestNeighbors(n_neighbors=10, algorithm='brute').fit(x)

        def theirs() -> Any:
            distance, row = search.kneighbors(queries)
            return row, distance**2

    def check(ours: Any, found: Any) -> str:
        same = float(np.mean(ours[0] == found[0]))
        if same < 0.999:
            raise Unequal(f'only {same:.2%} of the neighbours are the same')
        return f'{same:.2%} of the neighbours the same, {require_close("squared distances", ours[1], found[1], 0.02)}'

    return Workload(lambda: nearest_neighbours(x, 10, queries=queries, metric='l2', backend='torch'), theirs, check)


CASES = (
    SpeedCase('k-centre', 'greedy k-centre, 200 of 50 000 × 384', 'numpy loop over all rows', 0.2,
              lambda scale: k_centre(scale, 50_000, 200, False), repeats=5, peer_repeats=2),
    SpeedCase('k-centre-large', 'greedy k-centre, 200 of 100 000 × 384', 'numpy loop over all rows', 0.2,
              lambda scale: k_centre(scale, 100_000, 200, False), growth=None, repeats=3, peer_repeats=2),
    SpeedCase('k-centre-product', 'greedy k-centre, 200 of 50 000 × 384', 'torch loop, matrix-vector product in place',
              0.35, lambda scale: k_centre(scale, 50_000, 200, True), growth=None, repeats=5, peer_repeats=3),
    SpeedCase('k-means', 'k-means, 100 clusters, 10 moves, 50 000 × 384', 'faiss.Kmeans', 1.3, clusters, repeats=5),
    SpeedCase('knn-faiss', 'exact 10 nearest of 50 000 × 384 for 2000 rows', 'faiss.IndexFlatL2', 1.5,
              lambda scale: _neighbours(scale, 'faiss'), repeats=5),
    SpeedCase('knn-sklearn', 'exact 10 nearest of 50 000 × 384 for 2000 rows', 'scikit-learn, brute', 1.0,
              lambda scale: _neighbours(scale, 'sklearn'), growth=None, repeats=5, peer_repeats=3),
)
