"""Squared Euclidean distances: by one matrix product where many are wanted, term by term where they must be exact."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.selection.feature_rows import FeatureRows

ORIGIN_ROWS = 4096


class CentreTable:
    """Distances of blocks of rows to a few centres, by one matrix product.

    With an origin o near the data, ||x - c||^2 = ||x - o||^2 + s and s = ||c - o||^2 + 2 o.(c - o) - 2 x.(c - o).
    Written around the origin, little is lost to cancellation when the data lie far from zero, and the rows need not
    be shifted.

    Args:
        centres: (K, D) float.
        origin: (D,) float32, see :func:`origin_of`.
    """

    def __init__(self, centres: Tensor, origin: Tensor) -> None:
        shifted = centres.double() - origin.double()
        self._bias = (shifted.square().sum(1) + 2 * shifted @ origin.double()).float()
        self._weight = shifted.float().t()

    def scores(self, block: Tensor) -> Tensor:
        """(n, K) squared distances to the centres minus the squared distance to the origin, for rows (n, D)."""
        return torch.addmm(self._bias, block, self._weight, alpha=-2)

    def nearest(self, block: Tensor) -> tuple[Tensor, Tensor]:
        """(least score (n,), its centre (n,) int64, the lowest on ties) for rows (n, D).

        Centres by rows: the smallest over the first axis is found faster than over the last, and so is the product.
        """
        found = torch.addmm(self._bias[:, None], self._weight.t(), block.t(), alpha=-2).min(0)
        return found.values, found.indices


def origin_of(rows: FeatureRows) -> Tensor:
    """(D,) float32, the mean of up to 4096 evenly spaced rows."""
    step = max(1, len(rows) // ORIGIN_ROWS)
    index = torch.arange(0, len(rows), step)[:ORIGIN_ROWS].numpy()
    return rows[index].double().mean(0).float()


def distances_to_origin(rows: FeatureRows, origin: Tensor, chunk_rows: int) -> Tensor:
    """(N,) float32 squared distances to one point, term by term."""
    found = torch.empty(len(rows), device=rows.device)
    for place, block in rows.chunks(chunk_rows):
        found[place] = pair_distances(block, origin)
    return found


def pair_distances(first: Tensor, second: Tensor) -> Tensor:
    """(n,) float32 squared distances of paired rows (n, D), term by term: zero for equal rows."""
    return (first - second).square_().sum(-1)
