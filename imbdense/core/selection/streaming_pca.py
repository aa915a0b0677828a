"""Principal axes of rows that do not fit into memory: one pass over blocks of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_integer


@dataclass
class StreamingPCA:
    """Mean and covariance in float64, added up block by block; then the axes of largest variance.

    y = (x - mean) A with A (D, k) orthonormal, without whitening: distances keep their meaning. The sign of each axis
    is such that its entry of largest magnitude is positive. Rows that are not finite are left out of the fit. The
    result depends on the order of the blocks in the last bits only. Memory D² float64.

    Args:
        dim: D.
    """

    dim: int
    rows: int = 0
    _sum: NDArray[np.float64] = field(init=False, repr=False)
    _product: NDArray[np.float64] = field(init=False, repr=False)
    _origin: NDArray[np.float64] | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        self._sum, self._product = np.zeros(self.dim), np.zeros((self.dim, self.dim))

    def add(self, block: NDArray[Any]) -> None:
        """Add rows (n, D) of any float type."""
        values = np.asarray(block, np.float64)
        values = values[np.isfinite(values).all(axis=1)]
        if not len(values):
            return
        if self._origin is None:  # sums of squares about 0 would lose digits where the mean is large
            self._origin = values.mean(axis=0)
        values = values - self._origin
        self.rows += len(values)
        self._sum += values.sum(axis=0)
        self._product += values.T @ values

    def axes(self, components: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(mean (D,), A (D, k)) with k = ``components``, or D or the number of rows where these are fewer.

        Without a row the mean is 0 and k is 0.
        """
        check_integer('components', components, low=1, owner='StreamingPCA')
        if self._origin is None:
            return np.zeros(self.dim, np.float32), np.zeros((self.dim, 0), np.float32)
        shift = self._sum / self.rows
        covariance = self._product / self.rows - np.outer(shift, shift)
        vectors = np.linalg.eigh(covariance)[1][:, ::-1][:, : min(components, self.rows)]
        largest = np.abs(vectors).argmax(axis=0)
        vectors = vectors * np.where(vectors[largest, np.arange(vectors.shape[1])] < 0, -1.0, 1.0)
        return (self._origin + shift).astype(np.float32), vectors.astype(np.float32)
