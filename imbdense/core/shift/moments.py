"""First and second moments of many weighted subsets of groups at once, without a matrix per group in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
CHUNK = 256


@dataclass(frozen=True)
class Moments:
    """Moments of R weighted subsets.

    Attributes:
        count: (R,) weight sum. total: (R, d) weighted sum. second: (R, d, d) weighted sum of x xᵀ.
    """

    count: Floats
    total: Floats
    second: Floats

    def __sub__(self, other: Moments) -> Moments:
        """What is left when the elements of ``other`` are taken away."""
        return Moments(self.count - other.count, self.total - other.total, self.second - other.second)

    def mean(self) -> Floats:
        """(R, d); NaN for an empty subset."""
        with np.errstate(invalid='ignore', divide='ignore'):
            return self.total / self.count[:, None]

    def covariance(self) -> Floats:
        """(R, d, d) with the divisor n - 1; NaN below two elements."""
        with np.errstate(invalid='ignore', divide='ignore'):
            outer = self.total[:, :, None] * self.total[:, None, :] / self.count[:, None, None]
            found = (self.second - outer) / (self.count[:, None, None] - 1.0)
        found[self.count < 2] = np.nan
        return found


def group_index(groups: NDArray[np.integer]) -> tuple[Indices, int]:
    """(index of the group of each element in [0, G), G)."""
    names, index = np.unique(groups, return_inverse=True)
    return index.reshape(-1).astype(np.int64), int(names.size)


def subset_moments(vectors: NDArray[np.floating], groups: Indices, weights: Floats) -> Moments:
    """Moments of R subsets that take whole groups.

    The second moment of a group is made once and used by all subsets, a chunk of groups at a time: R subsets cost
    O(R G d²) and memory for R matrices.

    Args:
        vectors: (n, d), roughly centred (large means cancel digits).
        groups: (n,) index in [0, G).
        weights: (R, G) how often each subset takes each group.
    """
    data = np.asarray(vectors, dtype=np.float64)
    dim = data.shape[1]
    order = np.argsort(groups, kind='stable')
    data = data[order]
    sizes = np.bincount(groups, minlength=weights.shape[1])
    ends = np.cumsum(sizes)
    upper = np.triu_indices(dim)
    packed = np.zeros((weights.shape[0], upper[0].size))
    sums = np.zeros((weights.shape[1], dim))
    for start in range(0, weights.shape[1], CHUNK):
        stop = min(start + CHUNK, weights.shape[1])
        block = np.empty((stop - start, upper[0].size))
        for place in range(start, stop):
            rows = data[ends[place] - sizes[place] : ends[place]]
            sums[place] = rows.sum(axis=0)
            block[place - start] = (rows.T @ rows)[upper]
        packed += weights[:, start:stop] @ block
    second = np.zeros((weights.shape[0], dim, dim))
    second[:, upper[0], upper[1]] = packed
    second[:, upper[1], upper[0]] = packed
    return Moments(weights @ sizes.astype(np.float64), weights @ sums, second)
