"""The run kernels compiled by numba; import only where numba is installed. Same results as :mod:`.runs_numpy`."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

SIZE_BINS = 40


@numba.njit(cache=True, nogil=True)
def extract_runs(label: NDArray[np.uint8], lookup: NDArray[np.uint8]) -> Any:
    """Runs of equal ``lookup[label]`` per row of ``label`` (H, W).

    Returns (starts int32 (R,), values uint8 (R,), rows int64 (H + 1,)): run r begins at column ``starts[r]``; row y
    owns the runs ``rows[y]:rows[y + 1]``. Changes are marked by one vectorised comparison per row; eight unchanged
    pixels are then skipped at once.
    """
    height, width = label.shape
    capacity = 16 * height + width + 8
    starts = np.empty(capacity, np.int32)
    values = np.empty(capacity, np.uint8)
    rows = np.empty(height + 1, np.int64)
    changed = np.zeros((width + 7) // 8 * 8, np.uint8)
    words = changed.view(np.uint64)
    count = 0
    for y in range(height):
        rows[y] = first = count
        if count + width + 8 > capacity:
            capacity = 2 * capacity + width
            starts = _grown(starts, count, capacity)
            values = _grown(values, count, capacity)
        row = label[y]
        changed[0] = 1
        for x in range(1, width):
            changed[x] = row[x] != row[x - 1]
        for word in range(words.size):
            if words[word] != 0:
                for x in range(8 * word, 8 * word + 8):
                    starts[count] = x  # written always, kept only where the label changes: no branch to mispredict
                    count += changed[x]
        kept = first
        for run in range(first, count):
            value = lookup[row[starts[run]]]
            starts[kept] = starts[run]
            values[kept] = value
            kept += kept == first or value != values[kept - 1]
        count = kept
    rows[height] = count
    return starts[:count].copy(), values[:count].copy(), rows


@numba.njit(cache=True, nogil=True)
def _grown(array: NDArray[Any], used: int, capacity: int) -> Any:
    """A larger copy of the first ``used`` elements."""
    larger = np.empty(capacity, array.dtype)
    larger[:used] = array[:used]
    return larger


@numba.njit(cache=True, nogil=True)
def histogram(words: NDArray[np.uint64], rest: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Pixels per stored value, int64 (256,), of eight pixels per word and the ``rest``.

    Words of one value, the rule in labels, cost one addition; the others go to eight tables, so that equal
    neighbours do not wait for each other.
    """
    tables = np.zeros((8, 256), np.int64)
    byte, repeat = np.uint64(255), np.uint64(0x0101010101010101)
    for word in words:
        value = word & byte
        if word == value * repeat:
            tables[0, value] += 8
        else:
            for lane in range(8):
                tables[lane, (word >> np.uint64(8 * lane)) & byte] += 1
    for value in rest:
        tables[0, value] += 1
    return tables.sum(axis=0)


@numba.njit(cache=True, nogil=True)
def _root(parent: NDArray[np.int32], node: int) -> int:
    """Root of a node, with path halving."""
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@numba.njit(cache=True, nogil=True)
def label_regions(
    starts: NDArray[np.int32], values: NDArray[np.uint8], rows: NDArray[np.int64], width: int, num_classes: int
) -> Any:
    """8-connected regions of equal value by union-find over runs.

    Returns (regions int64 (C,), sizes int64 (C, SIZE_BINS)); bin b holds regions of 2**b <= pixels < 2**(b + 1).
    Values >= ``num_classes`` form no region.
    """
    total = starts.size
    height = rows.size - 1
    parent = np.arange(total).astype(np.int32)
    area = np.empty(total, np.int64)
    for y in range(height):
        first, last = rows[y], rows[y + 1]
        above, above_last = (rows[y - 1], first) if y > 0 else (first, first)
        for run in range(first, last):
            begin = starts[run]
            end = starts[run + 1] if run + 1 < last else width
            area[run] = end - begin
            if values[run] >= num_classes:
                continue
            # Runs above that end left of begin - 1 cannot touch this run nor any later one.
            while above < above_last and (starts[above + 1] if above + 1 < above_last else width) < begin:
                above += 1
            other = above
            while other < above_last and starts[other] <= end:
                if values[other] == values[run]:
                    one, two = _root(parent, run), _root(parent, other)
                    if one < two:
                        parent[two] = one
                    elif two < one:
                        parent[one] = two
                other += 1
    return _collect(parent, area, values, num_classes)


@numba.njit(cache=True, nogil=True)
def _collect(parent: NDArray[np.int32], area: NDArray[np.int64], values: NDArray[np.uint8], num_classes: int) -> Any:
    """Sum the areas of each tree and bin them; a parent always precedes its children."""
    regions = np.zeros(num_classes, np.int64)
    sizes = np.zeros((num_classes, SIZE_BINS), np.int64)
    for run in range(parent.size - 1, -1, -1):
        if values[run] >= num_classes:
            continue
        if parent[run] != run:
            area[parent[run]] += area[run]
            continue
        regions[values[run]] += 1
        rest, bin_index = area[run], 0
        while rest > 1:
            rest >>= 1
            bin_index += 1
        sizes[values[run], bin_index] += 1
    return regions, sizes


@numba.njit(cache=True, nogil=True)
def count_pixels(
    starts: NDArray[np.int32], values: NDArray[np.uint8], rows: NDArray[np.int64], width: int
) -> NDArray[np.int64]:
    """Pixels per value, int64 (256,)."""
    pixels = np.zeros(256, np.int64)
    for y in range(rows.size - 1):
        for run in range(rows[y], rows[y + 1]):
            end = starts[run + 1] if run + 1 < rows[y + 1] else width
            pixels[values[run]] += end - starts[run]
    return pixels


@numba.njit(cache=True, nogil=True)
def locate(
    starts: NDArray[np.int32],
    values: NDArray[np.uint8],
    rows: NDArray[np.int64],
    width: int,
    slot: NDArray[np.int64],
    pointer: NDArray[np.int64],
    ranks: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Flat positions (y * width + x) of the pixels with the given ranks inside their class, in row order.

    ``slot[v]`` is the row of value v in ``pointer`` or -1; ``ranks[pointer[s]:pointer[s + 1]]`` ascend.
    """
    positions = np.empty(ranks.size, np.int64)
    following = pointer[:-1].copy()
    seen = np.zeros(pointer.size - 1, np.int64)
    for y in range(rows.size - 1):
        for run in range(rows[y], rows[y + 1]):
            place = slot[values[run]]
            if place < 0:
                continue
            end = starts[run + 1] if run + 1 < rows[y + 1] else width
            before = seen[place]
            seen[place] = before + end - starts[run]
            while following[place] < pointer[place + 1] and ranks[following[place]] < seen[place]:
                positions[following[place]] = y * width + starts[run] + ranks[following[place]] - before
                following[place] += 1
    return positions
