"""Bins of equally many members by distance, within each cluster."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def equal_frequency_bins(
    distances: NDArray[np.floating], clusters: NDArray[np.int64], num_bins: int
) -> NDArray[np.int64]:
    """Return the bin of each row, (n,) int64 in [0, num_bins): 0 holds the nearest members of its cluster.

    The members of a cluster are sorted by distance, equal distances by row, and cut into bins of floor(n / g) or
    floor(n / g) + 1 members, the larger ones first. A cluster with fewer than g members fills the first bins with one
    each. Equal *frequency*, not equal width: the distances crowd near the centre, so bins of equal width would be empty
    outside.

    Args:
        distances: (n,) finite, to the centre of the own cluster.
        clusters: (n,) of each row.
        num_bins: g >= 1.

    Source: DeepCluster++ of STARC-9, arXiv 2511.00383.
    """
    order = np.lexsort((distances, clusters))
    ordered = clusters[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    sizes = np.diff(np.append(starts, len(ordered)))
    place = np.arange(len(ordered)) - np.repeat(starts, sizes)
    small, larger = np.repeat(sizes // num_bins, sizes), np.repeat(sizes % num_bins, sizes)
    in_larger = larger * (small + 1)
    bins = np.where(
        place < in_larger, place // (small + 1), larger + (place - in_larger) // np.maximum(small, 1)
    )
    found = np.empty(len(ordered), np.int64)
    found[order] = bins
    return found
