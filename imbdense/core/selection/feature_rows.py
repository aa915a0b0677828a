"""Rows of a feature table that is too large for memory, read as float32 in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

KEPT_BYTES = 512 * 2**20
"""Tables up to this size are kept as float32 instead of being read (and normalised) in every pass."""
CHUNK_BYTES = 4 * 2**20
"""A chunk and what is computed from it should stay in the cache of a processor."""


class FeatureRows:
    """Some rows of a table (N, D), optionally of unit length, as float32 tensors.

    The table may be a memory map of float16 or float32: it is read in chunks. Up to 512 MB of float32 are kept, which
    saves the conversion in later passes; float32 tables in memory are used where they lie.

    Args:
        table: (N, D) array or tensor; tensors are computed on where they are (GPU).
        rows: int64 indices into the table, in the order wanted; ``None`` = all.
        normalize: divide each row by its Euclidean length; rows of zeros stay zeros.

    Raises:
        ValueError: the table is not two-dimensional.
    """

    def __init__(self, table: NDArray[Any] | Tensor, rows: NDArray[np.int64] | None = None,
                 normalize: bool = False) -> None:
        if len(table.shape) != 2:
            raise ValueError(f'features must have the shape (N, D), but have {tuple(table.shape)}.')
        self._table, self._rows, self.normalize = table, rows, normalize
        self._kept: Tensor | None = None
        if self._in_place():
            self._kept = torch.as_tensor(table)
        elif len(self) * self.dim * 4 <= KEPT_BYTES:
            self._kept = self._all()

    def __len__(self) -> int:
        """The number of rows."""
        return int(self._table.shape[0]) if self._rows is None else len(self._rows)

    @property
    def dim(self) -> int:
        """D."""
        return int(self._table.shape[1])

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self._table.device if isinstance(self._table, Tensor) else torch.device('cpu')

    def __getitem__(self, index: slice | NDArray[np.int64]) -> Tensor:
        """(n, D) float32 of a slice without step or of row numbers of this view; not to be written to."""
        if self._kept is None:
            return self._read(index)
        return self._kept[index if isinstance(index, slice) else torch.as_tensor(index, device=self.device)]

    def chunks(self, chunk_rows: int) -> Iterator[tuple[slice, Tensor]]:
        """The rows in order, ``chunk_rows`` at a time, each with its place."""
        for start in range(0, len(self), chunk_rows):
            place = slice(start, min(start + chunk_rows, len(self)))
            yield place, self[place]

    def subset(self, index: NDArray[np.int64]) -> FeatureRows:
        """A view of some rows of this view."""
        if self._kept is not None:
            return FeatureRows(self[index])
        return FeatureRows(self._table, index if self._rows is None else self._rows[index], self.normalize)

    def normalized(self) -> FeatureRows:
        """A view of the same rows with unit length."""
        return self if self.normalize else FeatureRows(self._table, self._rows, True)

    def chunk_rows(self, columns: int = 0) -> int:
        """How many rows make a chunk when ``columns`` numbers are computed for each."""
        return int(np.clip(CHUNK_BYTES // (4 * max(self.dim, columns, 1)), 256, 16384))

    def _in_place(self) -> bool:
        """Whether the table can be used as it is."""
        if self._rows is not None or self.normalize:
            return False
        if isinstance(self._table, Tensor):
            return self._table.dtype == torch.float32
        plain = not isinstance(self._table, np.memmap) and self._table.flags.writeable
        return plain and self._table.dtype == np.float32 and self._table.flags.c_contiguous

    def _all(self) -> Tensor:
        """All rows, converted chunk by chunk: no second copy of the table at any time."""
        kept = torch.empty((len(self), self.dim), device=self.device)
        for start in range(0, len(self), self.chunk_rows()):
            place = slice(start, min(start + self.chunk_rows(), len(self)))
            kept[place] = self._read(place)
        return kept

    def _read(self, index: slice | NDArray[np.int64]) -> Tensor:
        """Convert, and normalise where wanted."""
        where = index if self._rows is None else self._rows[index]
        if isinstance(self._table, Tensor):
            block = self._table[where if isinstance(where, slice) else torch.as_tensor(where, device=self.device)]
            block = block.float()
        else:
            block = torch.from_numpy(np.array(self._table[where], dtype=np.float32))
        if self.normalize:
            block = block / block.norm(dim=1, keepdim=True).clamp_min(1e-12)
        return block


Features: TypeAlias = NDArray[Any] | Tensor | FeatureRows
"""What functions on features accept."""


def as_feature_rows(features: Features, normalize: bool = False) -> FeatureRows:
    """Wrap an array or tensor; a view is handed on, normalised if asked."""
    if not isinstance(features, FeatureRows):
        return FeatureRows(features, normalize=normalize)
    return features.normalized() if normalize else features
