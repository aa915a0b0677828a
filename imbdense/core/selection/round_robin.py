"""An order in which every prefix is spread over all branches of a tree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def round_robin(levels: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the positions of n items in an order that takes turns at every level.

    The items of one leaf follow each other in the order they come; leaves of one branch take turns, then the branches
    of the next larger one, up to the root. So the first items come from as many of the largest branches as there are.

    Args:
        levels: (n,) ids from the largest branch to the leaf, each unique within its parent; siblings take turns in
            ascending order.

    Returns:
        (n,) int64 permutation.
    """
    branches = _unique_ids(levels)
    place = _rank(np.arange(len(branches[-1])), branches[-1], branches[-1])
    for parent, child in zip(branches[-2::-1], branches[:0:-1]):
        place = _rank(place, child, parent)
    return np.lexsort((branches[0], place))


def _unique_ids(levels: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Ids that tell the whole path, ascending as the paths are."""
    path = np.zeros(len(levels[0]), np.int64)
    found = []
    for level in levels:
        _, own = np.unique(level, return_inverse=True)
        _, path = np.unique(path * (own.max(initial=0) + 1) + own, return_inverse=True)
        found.append(path)
    return found


def _rank(place: NDArray[np.int64], child: NDArray[np.int64], parent: NDArray[np.int64]) -> NDArray[np.int64]:
    """Place of each item within its parent, when the children take turns and keep their own order ``place``."""
    order = np.lexsort((child, place, parent))
    ordered = parent[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    sizes = np.diff(np.append(starts, len(ordered)))
    found = np.empty(len(ordered), np.int64)
    found[order] = np.arange(len(ordered)) - np.repeat(starts, sizes)
    return found
