"""How often each pair of two integer maps occurs, where many values are possible and few are there.

The values that occur are renumbered first, so the table is as small as the maps allow.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.metrics.byte_table import SIDE, count_byte_pairs

Counts = NDArray[np.int64]
Map = NDArray[np.signedinteger[Any]]

LARGEST_TABLE = 1 << 22
"""Cells; a larger table is made only where the maps have at least a quarter as many pixels, else pairs are sorted."""


def count_present_pairs(rows: Map, columns: Map, limit: int) -> tuple[Counts, Counts, Counts]:
    """Return (value in ``rows``, value in ``columns``, count), int64 (n,) each, of the pairs that occur; ascending.

    Three loops of numba where it can be imported (about a nanosecond each and pixel), else numpy; equal results.

    Args:
        rows, columns: integers (P,), int16 is fastest; values in [0, ``limit``), which is not looked at.
    """
    (row_values, row_rank), (column_values, column_rank) = (_present(values, limit) for values in (rows, columns))
    shape = len(row_values), len(column_values)
    if shape[0] * shape[1] > max(LARGEST_TABLE, 4 * rows.size):
        pairs, counts = np.unique(rows.astype(np.int64) * limit + columns, return_counts=True)
        return pairs // limit, pairs % limit, counts
    kernels = _kernels()
    if kernels is not None:
        table: NDArray[Any] = np.zeros(shape, np.int32 if rows.size < 1 << 31 else np.int64)
        kernels[1](rows, columns, row_rank, column_rank, table)
    elif max(shape) <= SIDE:
        table = _byte_table(row_rank.astype(np.uint8)[rows], column_rank.astype(np.uint8)[columns], shape)
    else:
        index = row_rank.astype(np.int64)[rows] * shape[1]
        index += column_rank[columns]
        table = np.bincount(index, minlength=shape[0] * shape[1]).reshape(shape)
    places = np.flatnonzero(table)
    i, j = np.divmod(places, shape[1]) if places.size else (places, places)
    return row_values[i], column_values[j], table.ravel()[places].astype(np.int64)


def _present(values: Map, limit: int) -> tuple[Counts, Map]:
    """The values that occur, ascending, and for every value its place among them."""
    seen = np.zeros(limit, np.uint8)
    kernels = _kernels()
    if kernels is None:
        seen[values] = 1
    else:
        kernels[0](values, seen)
    present = np.flatnonzero(seen)
    rank = np.zeros(limit, np.int32)
    rank[present] = np.arange(len(present), dtype=np.int32)
    return present, rank


def _byte_table(rows: NDArray[np.uint8], columns: NDArray[np.uint8], shape: tuple[int, int]) -> Counts:
    """The table of bytes."""
    parts = count_byte_pairs(rows, columns)
    if parts is None:
        raise ValueError('ranks must be bytes')
    table: Counts = parts[:, : shape[0], : shape[1]].sum(axis=0)
    return table


@functools.lru_cache(maxsize=1)
def _kernels() -> tuple[Callable[[Map, NDArray[np.uint8]], None], Callable[..., None]] | None:
    """The compiled loops that mark values and count pairs; ``None`` where numba cannot be imported."""
    try:
        import numba
    except ImportError:
        return None

    @numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
    def mark(values: Map, seen: NDArray[np.uint8]) -> None:
        for i in range(values.size):
            seen[values[i]] = 1

    @numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
    def count(rows: Map, columns: Map, row_rank: Map, column_rank: Map, table: NDArray[Any]) -> None:
        for i in range(rows.size):
            table[row_rank[rows[i]], column_rank[columns[i]]] += 1

    return mark, count
