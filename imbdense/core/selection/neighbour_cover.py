"""The facility-location function on a graph of nearest neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_matrix

from imbdense.core.selection.feature_rows import FeatureRows
from imbdense.core.selection.knn import NeighbourChunks


class NeighbourCover:
    """f(S) = sum_i max(0, max_{j in S} s_ij), an objective of :func:`lazy_greedy`.

    Args:
        similarity: (n, n) sparse, >= 0; column j holds the rows that j can stand for.
    """

    def __init__(self, similarity: csc_matrix) -> None:
        self._starts, self._rows = similarity.indptr, similarity.indices
        self._values = similarity.data
        self.best = np.zeros(similarity.shape[0], dtype=self._values.dtype)

    @property
    def value(self) -> float:
        """f of what is chosen."""
        return float(self.best.sum(dtype=np.float64))

    def gains(self) -> NDArray[np.float64]:
        """(n,) what each row would add."""
        return np.array([self.gain(column) for column in range(len(self._starts) - 1)])

    def gain(self, row: int) -> float:
        """What one row would add."""
        part = slice(self._starts[row], self._starts[row + 1])
        return float(np.maximum(self._values[part] - self.best[self._rows[part]], 0).sum(dtype=np.float64))

    def add(self, row: int) -> None:
        """Let a row stand for others."""
        part = slice(self._starts[row], self._starts[row + 1])
        index = self._rows[part]
        self.best[index] = np.maximum(self.best[index], self._values[part])


def neighbour_similarity(rows: FeatureRows, k: int) -> csc_matrix:
    """(n, n) sparse float32: s_ij = max(0, cos) for j among the k nearest rows of i, and 1 for i itself.

    Memory 8 bytes per stored number, twice while it is turned.
    """
    chunks = NeighbourChunks(
        rows, k, queries=None, metric='cosine', exclude_self=True, backend='auto', chunk_rows=None)
    width = chunks.width + 1
    columns = np.empty((len(rows), width), dtype=np.int32)
    values = np.ones((len(rows), width), dtype=np.float32)
    columns[:, -1] = np.arange(len(rows))
    for place, index, distance in chunks:
        columns[place, :-1] = index.cpu().numpy()
        values[place, :-1] = (1 - distance).clamp_min(0).cpu().numpy()
    edges = np.arange(len(rows) + 1, dtype=np.int32 if columns.size < 2**31 else np.int64) * width
    return csr_matrix((values.ravel(), columns.ravel(), edges), shape=(len(rows), len(rows))).tocsc()
