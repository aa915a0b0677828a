"""The run kernels in numpy and scipy, for machines without numba. Same results as :mod:`.runs_numba`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIZE_BINS = 40

Runs = tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int64]]
"""(starts (R,), values (R,), rows (H + 1,)): run r begins at column ``starts[r]``, row y owns its runs
``rows[y]:rows[y + 1]``."""


def extract_runs(label: NDArray[np.uint8], lookup: NDArray[np.uint8]) -> Runs:
    """Runs of equal ``lookup[label]`` per row of ``label`` (H, W)."""
    height, width = label.shape
    mapped = lookup[label]
    changed = np.ones((height, width), dtype=bool)
    np.not_equal(mapped[:, 1:], mapped[:, :-1], out=changed[:, 1:])
    flat = np.flatnonzero(changed)
    rows = np.searchsorted(flat, np.arange(height + 1) * width)
    return (flat % max(width, 1)).astype(np.int32), mapped.reshape(-1)[flat], rows.astype(np.int64)


def count_pixels(
    starts: NDArray[np.int32], values: NDArray[np.uint8], rows: NDArray[np.int64], width: int
) -> NDArray[np.int64]:
    """Pixels per value, int64 (256,)."""
    lengths = _ends(starts, rows, width) - starts
    return np.bincount(values, weights=lengths, minlength=256).astype(np.int64)


def histogram(words: NDArray[np.uint64], rest: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Pixels per stored value, int64 (256,), of eight pixels per word and the ``rest``."""
    return np.bincount(words.view(np.uint8), minlength=256) + np.bincount(rest, minlength=256)


def label_regions(
    starts: NDArray[np.int32], values: NDArray[np.uint8], rows: NDArray[np.int64], width: int, num_classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """8-connected regions of equal value: connected components of the graph of touching runs.

    Returns (regions int64 (C,), sizes int64 (C, SIZE_BINS)); bin b holds regions of 2**b <= pixels < 2**(b + 1).
    Values >= ``num_classes`` form no region.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    regions, sizes = np.zeros(num_classes, np.int64), np.zeros((num_classes, SIZE_BINS), np.int64)
    if starts.size == 0:
        return regions, sizes
    ends = _ends(starts, rows, width)
    line = np.repeat(np.arange(rows.size - 1), np.diff(rows)) * (width + 2)
    above = line - (width + 2)
    low = np.searchsorted(line + ends, above + starts, side='left')
    high = np.searchsorted(line + starts, above + ends, side='right')
    pairs = np.maximum(high - low, 0)
    run = np.repeat(np.arange(starts.size), pairs)
    other = np.arange(run.size) - np.repeat(np.cumsum(pairs) - pairs, pairs) + np.repeat(low, pairs)
    joined = values[run] == values[other]
    graph = coo_matrix((np.ones(int(joined.sum()), bool), (run[joined], other[joined])), shape=(starts.size,) * 2)
    count, component = connected_components(graph, directed=False)
    area = np.bincount(component, weights=ends - starts, minlength=count).astype(np.int64)
    kind = np.zeros(count, np.int64)
    kind[component] = values
    keep = kind < num_classes
    np.add.at(regions, kind[keep], 1)
    np.add.at(sizes, (kind[keep], np.frexp(area[keep].astype(np.float64))[1] - 1), 1)
    return regions, sizes


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
    line = np.repeat(np.arange(rows.size - 1), np.diff(rows)) * width
    lengths = _ends(starts, rows, width) - starts
    for value in np.flatnonzero(slot >= 0):
        part = slice(pointer[slot[value]], pointer[slot[value] + 1])
        runs = np.flatnonzero(values == value)
        until = np.cumsum(lengths[runs])
        place = np.searchsorted(until, ranks[part], side='right')
        chosen = runs[place]
        positions[part] = line[chosen] + starts[chosen] + ranks[part] - (until[place] - lengths[chosen])
    return positions


def _ends(starts: NDArray[np.int32], rows: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """Column after the last one of each run."""
    ends = np.empty(starts.size, np.int64)
    ends[:-1] = starts[1:]
    ends[rows[1:][np.diff(rows) > 0] - 1] = width
    return ends
