"""The 256 x 256 table of (truth, prediction) pairs: the fastest way to count labels that fit a byte.

Counting raw byte values needs no mask, no range check and no knowledge of the classes: ignore gets its own row, and
a value that should not be there shows up in a row or column that should be empty.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Kernel = Callable[[NDArray[Any], NDArray[Any], NDArray[np.int64]], int]

SIDE = 256
PADDING = 8
"""What the rows of the kernel's tables are longer: a power of two would put every row in the same few cache sets."""


def count_byte_pairs(target: NDArray[Any], pred: NDArray[Any], limit: int = SIDE) -> NDArray[np.int64] | None:
    """Return int64 part tables (S, limit, >= limit) that add up to the counts of value pairs, rows = ``target``.

    The parts are not added here, because the caller needs only the rows and columns of its classes. ``None`` when a
    value is outside [0, limit).

    Args:
        target, pred: integer arrays of equal size, any shape; contiguous uint8 is fastest.
        limit: at most 256. A lower one makes a small table, which pays for small maps, but has the values looked at.

    The numba kernel is used where numba can be imported (decided once per process), otherwise one ``np.bincount``.
    Both give equal tables. Wider types than a byte need numba's kernel for speed; without it they are cast first.
    """
    if limit < SIDE and any(values.size and int(values.max()) >= limit for values in (target, pred)):
        return None
    kernels = numba_kernels()
    if kernels is None:
        parts = _count_with_numpy(target, pred)
        return None if parts is None else parts[:, :limit, :limit]
    if target.dtype != np.uint8 or pred.dtype != np.uint8:
        limit = SIDE  # the kernel of wider types finds what is no byte only after it counted
    tables = np.zeros((4, limit, limit + PADDING), dtype=np.int64)
    flat_target, flat_pred = np.ascontiguousarray(target).ravel(), np.ascontiguousarray(pred).ravel()
    if flat_target.dtype == flat_pred.dtype == np.uint8:
        kernels[0](flat_target, flat_pred, tables)
    elif kernels[1](flat_target, flat_pred, tables) & ~0xFF:
        return None
    return tables


def _count_with_numpy(target: NDArray[Any], pred: NDArray[Any]) -> NDArray[np.int64] | None:
    """The same table without numba: one histogram of 16-bit pairs."""
    for values in (target, pred):
        if values.dtype != np.uint8 and values.size and (int(values.min()) < 0 or int(values.max()) > 0xFF):
            return None
    pairs = target.astype(np.uint16).ravel()
    pairs <<= 8
    pairs |= pred.astype(np.uint8, copy=False).ravel()
    return np.bincount(pairs, minlength=SIDE * SIDE).reshape(1, SIDE, SIDE).astype(np.int64, copy=False)


@functools.lru_cache(maxsize=1)
def numba_kernels() -> tuple[Kernel, Kernel] | None:
    """Return the compiled counting loops for bytes and for wider integers; ``None`` where numba cannot be imported.

    Both add into four tables in turn, so that a run of equal labels does not wait for its own last store. The second
    counts the lowest byte and returns the bitwise or of all values: higher bits (or the sign) mean "no byte".
    """
    try:
        import numba
    except ImportError:
        return None

    @numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
    def count_bytes(target: NDArray[Any], pred: NDArray[Any], tables: NDArray[np.int64]) -> int:
        size = target.size
        whole = size - size % 4
        for i in range(0, whole, 4):
            tables[0, target[i], pred[i]] += 1
            tables[1, target[i + 1], pred[i + 1]] += 1
            tables[2, target[i + 2], pred[i + 2]] += 1
            tables[3, target[i + 3], pred[i + 3]] += 1
        for i in range(whole, size):
            tables[0, target[i], pred[i]] += 1
        return 0

    @numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator, unused-ignore]
    def count_wide(target: NDArray[Any], pred: NDArray[Any], tables: NDArray[np.int64]) -> int:
        seen = 0
        size = target.size
        whole = size - size % 4
        for i in range(0, whole, 4):
            t0, t1, t2, t3 = target[i], target[i + 1], target[i + 2], target[i + 3]
            p0, p1, p2, p3 = pred[i], pred[i + 1], pred[i + 2], pred[i + 3]
            seen |= t0 | t1 | t2 | t3 | p0 | p1 | p2 | p3
            tables[0, t0 & 255, p0 & 255] += 1
            tables[1, t1 & 255, p1 & 255] += 1
            tables[2, t2 & 255, p2 & 255] += 1
            tables[3, t3 & 255, p3 & 255] += 1
        for i in range(whole, size):
            seen |= target[i] | pred[i]
            tables[0, target[i] & 255, pred[i] & 255] += 1
        return seen

    return count_bytes, count_wide
