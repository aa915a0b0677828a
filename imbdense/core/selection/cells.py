"""Cells (class, group, cluster, bin) of a pool, and how many objects each gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.core.selection.apportion import apportion


@dataclass(frozen=True, eq=False)
class Cells:
    """The non-empty cells in ascending order of (class, group, cluster, bin), n of them.

    Attributes:
        path: (n, 4) int64 ids of class, group, cluster and bin; unknown class = -1.
        size: (n,) int64 members.
        labelled: (n,) int64 members in images that are labelled already.
    """

    path: NDArray[np.int64]
    size: NDArray[np.int64]
    labelled: NDArray[np.int64]

    @property
    def total(self) -> int:
        """All members."""
        return int(self.size.sum())


def reference_quotas(cells: Cells, fraction: float, rounds: int) -> NDArray[np.int64]:
    """``rounds`` times the draw of the published code, ``max(1, floor(fraction * n))`` of each bin, at most n.

    What is labelled already counts as drawn. Small bins give more than ``fraction``: with k = sqrt(n) clusters and 5
    bins nearly every bin of a group below 625 tiles gives one.
    """
    once = np.maximum(1, np.floor(fraction * cells.size + 1e-9)).astype(np.int64)
    return np.maximum(np.minimum(rounds * once, cells.size), cells.labelled)


def exact_quotas(total: int, cells: Cells, alpha: float) -> NDArray[np.int64]:
    """Members each cell gives in all (those labelled already included), (n,) int64 with sum ``total`` within bounds.

    Largest-remainder apportionment from above: over the classes (equal shares by water-filling; objects of unknown
    class get what the known classes leave), over the groups of a class, the clusters of a group, the bins of a cluster.
    Weight of a cluster is ``n^alpha``, of a group the sum over its clusters, of a bin its size; cap is the size, floor
    what is labelled. Each group gets at least one as long as there is enough for all.

    Remainders of the bins are carried from cluster to cluster: with fewer objects than bins the first cluster gives its
    nearest ones, the next cluster the next bin, and so on, instead of all giving their centre.

    Args:
        total: objects wanted in all.
        alpha: 0 = every cluster alike, 1 = as large clusters are.
    """
    of_cluster = np.unique(cells.path[:, :3], axis=0, return_inverse=True)[1].ravel()
    mass = np.bincount(of_cluster, cells.size)[of_cluster]
    weight = np.asarray(mass ** (alpha - 1.0) * cells.size, np.float64)
    return _Split(cells, weight, np.zeros(int(cells.path[:, 3].max(initial=0)) + 1)).over_classes(total)


@dataclass
class _Split:
    """The walk down the tree of cells."""

    cells: Cells
    weight: NDArray[np.float64]
    carry: NDArray[np.float64]

    def over_classes(self, total: int) -> NDArray[np.int64]:
        """Equal shares of the classes, then down."""
        quotas = np.zeros(len(self.cells.size), np.int64)
        known = self.cells.path[:, 0] >= 0
        parts = (known, total - int(self.cells.labelled[~known].sum())), (~known, total)
        for part, limit in parts:
            if part.any():
                self._down(limit - int(quotas.sum()), np.flatnonzero(part), 0, quotas)
        return quotas

    def _down(self, total: int, members: NDArray[np.int64], level: int, quotas: NDArray[np.int64]) -> None:
        """Split ``total`` over the children at ``level`` of the cells ``members``."""
        ids = self.cells.path[members, level]
        starts = np.flatnonzero(np.diff(ids, prepend=ids[0] - 1))
        size, labelled = (np.add.reduceat(values[members], starts) for values in (self.cells.size, self.cells.labelled))
        if level == 3:
            carry = self.carry[ids]
            quotas[members] = apportion(total, self.weight[members], size, labelled, carry)
            self.carry[ids] = carry
            return
        weight = np.ones(len(starts)) if level == 0 else np.add.reduceat(self.weight[members], starts)
        floors = np.maximum(labelled, 1) if level == 1 else labelled
        shares = apportion(total, weight, size, floors if floors.sum() <= total else labelled)
        for share, child in zip(shares.tolist(), np.split(members, starts[1:])):
            self._down(share, child, level + 1, quotas)
