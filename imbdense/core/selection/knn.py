"""Nearest neighbours: exact in chunks, or by an inverted file where the table is large and faiss is installed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.checks import check_choice, check_integer
from imbdense.core.selection.distances import pair_distances
from imbdense.core.selection.feature_rows import Features, as_feature_rows
from imbdense.core.selection.neighbour_search import ExactSearch, FlatFaiss, InvertedFile, NeighbourSearch

EXACT_ROWS = 200_000
"""Beyond so many rows faiss, if installed, searches an inverted file instead of all rows."""
GATHERED_NUMBERS = 2**22
"""Numbers of neighbours that are read at once to recompute distances: 16 MB."""

Metric = Literal['cosine', 'l2']
Backend = Literal['auto', 'torch', 'faiss']


def nearest_neighbours(
    features: Features,
    k: int,
    *,
    queries: Features | None = None,
    metric: Metric = 'cosine',
    exclude_self: bool = True,
    backend: Backend = 'auto',
    chunk_rows: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k rows nearest to each query, nearest first, ties by the lowest row.

    Args:
        features: (N, D) array (may be a memory map, float16 or float32), tensor, or :class:`FeatureRows`; finite.
        k: >= 1; fewer come back where there are fewer rows.
        queries: (Q, D); ``None`` = the rows themselves.
        metric: 'cosine': 1 - cos (a row of zeros is at 1 from everything); 'l2': *squared* Euclidean distance.
        exclude_self: with ``queries=None`` no row is its own neighbour; duplicates of it are.
        backend: 'torch' (exact); 'faiss' (up to 200 000 rows exact, with the rows in memory as float32; beyond, see
            :class:`InvertedFile`: neighbours may be missed, distances are right); 'auto': faiss beyond 200 000 rows
            where it is installed, else torch.
        chunk_rows: queries per block; ``None`` = what fits a cache.

    Returns:
        (indices (Q, w) int64, distances (Q, w) float32), w = min(k, N), or min(k, N - 1) without the row itself.
        Distances are computed term by term for what was found. Which of several rows at the distance of the last
        place comes back is not said.

    Time 2 Q N D. Memory beyond the features: the result, some blocks of 16 MB, and the rows themselves up to 512 MB.

    Raises:
        ValueError: a number out of range; shapes that do not fit.
        ImportError: ``backend='faiss'`` without faiss.
    """
    chunks = NeighbourChunks(
        features, k, queries=queries, metric=metric, exclude_self=exclude_self, backend=backend, chunk_rows=chunk_rows)
    indices = np.empty((chunks.num_queries, chunks.width), np.int64)
    distances = np.empty(indices.shape, np.float32)
    for place, index, distance in chunks:
        indices[place], distances[place] = index.cpu().numpy(), distance.cpu().numpy()
    return indices, distances


class NeighbourChunks:
    """The same block by block, for whoever keeps less than all of it.

    Iterating gives (slice of queries, indices (q, width) int64, distances (q, width) float32). Arguments as in
    :func:`nearest_neighbours`.

    Attributes:
        num_queries: Q. width: neighbours of each query.
    """

    def __init__(
        self, features: Features, k: int, *, queries: Features | None, metric: Metric, exclude_self: bool,
        backend: Backend, chunk_rows: int | None,
    ) -> None:
        owner = 'nearest_neighbours'
        check_integer('k', k, low=1, owner=owner)
        self._metric = check_choice('metric', metric, ('cosine', 'l2'), owner=owner)
        check_choice('backend', backend, ('auto', 'torch', 'faiss'), owner=owner)
        self._rows = as_feature_rows(features, metric == 'cosine')
        self._queries = self._rows if queries is None else as_feature_rows(queries, metric == 'cosine')
        if self._queries.dim != self._rows.dim:
            raise ValueError(
                f'{owner}: queries have {self._queries.dim} numbers per row, but features have {self._rows.dim}.')
        self._own = queries is None and exclude_self
        self.num_queries = len(self._queries)
        self.width = max(0, min(k, len(self._rows) - self._own))
        self._chunk_rows = chunk_rows or 2048
        large = len(self._rows) > EXACT_ROWS
        self._faiss = backend == 'faiss' or (backend == 'auto' and large and find_spec('faiss') is not None)

    def __iter__(self) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Build the index, then search block by block."""
        if self.width == 0:
            return
        search = self._search()
        for place, block in self._queries.chunks(self._chunk_rows):
            own = torch.arange(place.start, place.stop, device=block.device) if self._own else None
            found = search(block, self.width, own)
            index, distance = self._ordered(block, found)
            yield place, index, distance

    def _search(self) -> NeighbourSearch:
        """The index."""
        inner = self._metric == 'cosine'
        if not self._faiss:
            return ExactSearch(self._rows, inner)
        return FlatFaiss(self._rows, inner) if len(self._rows) <= EXACT_ROWS else InvertedFile(self._rows, inner)

    def _ordered(self, block: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
        """The best ``width`` of the found rows (q, w) by their exact distances, then by row."""
        found = found.sort(dim=1).values
        step = max(1, GATHERED_NUMBERS // (found.shape[1] * self._rows.dim))
        exact = torch.empty(found.shape, device=block.device)
        for start in range(0, len(block), step):
            index = found[start : start + step]
            other = self._rows[index.flatten().cpu().numpy()].view(*index.shape, -1)
            own = block[start : start + step, None]
            exact[start : start + step] = (
                (1 - (own * other).sum(-1)).clamp_(0, 2) if self._metric == 'cosine' else pair_distances(own, other))
        distance, order = exact.sort(dim=1, stable=True)
        return found.gather(1, order)[:, : self.width], distance[:, : self.width]
