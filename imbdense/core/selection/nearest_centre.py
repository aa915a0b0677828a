"""How far every row is from the nearest of a growing set of centres, updated for many centres at once, exactly."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.selection.distances import CentreTable, distances_to_origin, origin_of, pair_distances
from imbdense.core.selection.feature_rows import FeatureRows

EPSILON = 64 * float(torch.finfo(torch.float32).eps) / 2
"""Bound of the relative error of a matrix product of float32 with some hundred terms, with room to spare."""
CENTRES_AT_ONCE = 512
PAIRED_NUMBERS = 2**22


class NearestCentre:
    """Squared distances d (n,) float32 of rows to their nearest centre.

    The values are those of the loop that subtracts, squares and adds up for one centre after the other. A matrix
    product finds the few (row, centre) pairs that can lower a distance; only these are computed term by term. So
    updates for m centres cost one matrix product, and equal rows always have equal distances.

    Attributes:
        distance: (n,) float32, infinite before the first centre; -1 for rows that are no longer asked about.
    """

    def __init__(self, rows: FeatureRows) -> None:
        self.rows = rows
        self._chunk_rows = rows.chunk_rows(CENTRES_AT_ONCE)
        self._origin = origin_of(rows)
        self._from_origin = distances_to_origin(rows, self._origin, self._chunk_rows)
        self._reach = self._from_origin.sqrt() + self._origin.norm()
        self._distance = torch.full((len(rows),), torch.inf)
        self.distance: NDArray[np.float32] = self._distance.numpy()

    def add(self, centres: NDArray[np.int64]) -> None:
        """Lower the distances by new centres, which are rows, and mark these with -1."""
        for start in range(0, len(centres), CENTRES_AT_ONCE):
            self._approach(self.rows[centres[start : start + CENTRES_AT_ONCE]])
        self.distance[centres] = -1.0

    def from_point(self, point: Tensor) -> NDArray[np.float32]:
        """(n,) squared distances to any point (D,)."""
        return distances_to_origin(self.rows, point, self._chunk_rows).cpu().numpy()

    def candidates(self, index: NDArray[np.int64]) -> Candidates:
        """Some rows, to follow single centres among them."""
        return Candidates(self.rows[index], self.distance[index], index)

    def _approach(self, centres: Tensor) -> None:
        """All rows against at most 512 centres."""
        table = CentreTable(centres, self._origin)
        radius = (centres - self._origin).square().sum(1).max().sqrt()
        for place, block in self.rows.chunks(self._chunk_rows):
            now = self._distance[place]
            if len(centres) == 1:
                torch.minimum(now, pair_distances(block, centres).cpu(), out=now)
                continue
            found = table.scores(block).add_(self._from_origin[place, None])
            margin = EPSILON * (self._reach[place] + radius).square()
            least = found.min(1).values
            rows = torch.nonzero(least < now.to(least) + margin)[:, 0]
            if len(rows):
                self._lower(now, block, centres, found, rows, least + 2 * margin)

    def _lower(
        self, now: Tensor, block: Tensor, centres: Tensor, found: Tensor, rows: Tensor, limit: Tensor
    ) -> None:
        """Compute the pairs whose approximate distance is within ``limit`` of their row."""
        place, centre = torch.nonzero(found[rows] <= limit[rows, None], as_tuple=True)
        step = max(1, PAIRED_NUMBERS // block.shape[1])
        for start in range(0, len(place), step):
            row, other = rows[place[start : start + step]], centre[start : start + step]
            exact = pair_distances(block[row], centres[other])
            now.scatter_reduce_(0, row.cpu(), exact.cpu(), 'amin')


class Candidates:
    """Rows in memory whose distances follow every single centre.

    Attributes:
        index: (m,) int64 rows, ascending. distance: (m,) float32.
    """

    def __init__(self, block: Tensor, distance: NDArray[np.float32], index: NDArray[np.int64]) -> None:
        self._block = block - block.mean(0)
        self._exact = block
        self._squared = self._block.square().sum(1)
        self._margin = EPSILON * 4 * float(block.square().sum(1).max())
        self.distance, self.index = distance, index

    def keep(self, mask: NDArray[np.bool_]) -> None:
        """Go on with some of them."""
        chosen = torch.from_numpy(mask).to(self._block.device)
        self._block, self._exact, self._squared = self._block[chosen], self._exact[chosen], self._squared[chosen]
        self.distance, self.index = self.distance[mask], self.index[mask]

    def add(self, place: int) -> None:
        """Lower the distances by the candidate at ``place`` and mark it with -1."""
        approximate = torch.addmv(self._squared, self._block, self._block[place], alpha=-2)
        limit = torch.from_numpy(self.distance).to(approximate) + (self._margin - self._squared[place])
        near = torch.nonzero(approximate < limit)[:, 0]
        exact = pair_distances(self._exact[near], self._exact[place]).cpu().numpy()
        hit = near.cpu().numpy()
        self.distance[hit] = np.minimum(self.distance[hit], exact)
        self.distance[place] = -1.0

    def add_outside(self, centre: Tensor) -> None:
        """Lower the distances by a point (D,) that is no candidate."""
        exact = pair_distances(self._exact, centre).cpu().numpy()
        np.minimum(self.distance, exact, out=self.distance)
