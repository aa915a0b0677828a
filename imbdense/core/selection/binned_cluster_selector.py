"""Diverse and class-balanced selection: clusters, and bins of equally many members by distance to their centre."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.selection.cells import Cells, exact_quotas, reference_quotas
from imbdense.core.selection.cluster_bins import DistanceSpace, KRule, cluster_and_bin, number_of_clusters
from imbdense.core.selection.feature_selector import image_features
from imbdense.core.selection.object_pool import ObjectPool
from imbdense.core.selection.round_robin import round_robin
from imbdense.core.selection.selection import Choice
from imbdense.core.selection.selector import Selector, Task

Allocation = Literal['exact', 'reference']
LARGE_GROUP = 500_000
"""Rows of a group above which a fixed cluster size (quadratic in the rows) is told as slow."""


class BinnedClusterSelector(Selector):
    """Cluster the objects of each group, cut each cluster into distance bins, draw from every bin (DeepCluster++).

    Within each class and group (scene, slide, flight): :func:`cluster_and_bin`. Then each bin gives some members, drawn
    without replacement; the images of the drawn objects are chosen in turns over classes, groups, clusters and bins, so
    that every prefix is spread. Bins keep a cluster from giving nothing but its dense centre.

    * 'exact': the budget is apportioned over the cells, see :func:`imbdense.core.selection.cells.exact_quotas`;
    * 'reference': ``max(1, floor(fraction * n))`` of each bin of n as in the published code, in as many rounds as the
      budget needs, cut off at the budget.

    An image counts once, however many of its objects are drawn; more objects are drawn until the budget of images is
    met. Objects of labelled images take part in the clusters and count as drawn from their cells.

    ``level='image'``: whole images (``img_feat``) instead of objects. An image has no class, so that ``class_balance``
    plays no part; images whose feature is not finite are left to the random fill.

    Deterministic for a seed. ``prefix`` is ``False``: quotas depend on the budget. Memory: the features of one group,
    four times in float32. Time: O(n k D) per group for k-means.

    Args:
        num_bins: g >= 1 bins per cluster.
        k_rule: clusters of a group of n objects: 'sqrt' = ceil(sqrt(n)), 'tiles_per_cluster' =
            ceil(n / tiles_per_cluster); one cluster below 32 objects.
        tiles_per_cluster: >= 1, for that rule.
        pca_dim: >= 1, most principal components.
        per_group: cluster each group (``pool.img_group``) by itself.
        allocation: 'exact' or 'reference'.
        alpha: in [0, 1], for 'exact': weight of a cluster of n is n^alpha.
        fraction: in (0, 1], for 'reference'.
        class_balance: 'equal' = equal shares of the classes by water-filling, each clustered by itself; objects of
            unknown class get what the others leave. ``None`` = classes play no part.
        distance_space: 'cluster' or 'raw', see :func:`cluster_and_bin`.
        level: 'object' or 'image', what is clustered.

    Raises:
        ValueError, TypeError: an argument out of range; ``level='image'`` and a pool without ``img_feat``.

    Source: STARC-9, arXiv 2511.00383, NeurIPS 2025 (data sets track). Exact apportionment, class balance and turns are
    ours.
    """

    card = 'deepcluster_pp'
    tasks = ('selection',)

    def __init__(
        self,
        num_bins: int = 5,
        k_rule: KRule = 'sqrt',
        tiles_per_cluster: int = 400,
        pca_dim: int = 256,
        per_group: bool = True,
        allocation: Allocation = 'exact',
        alpha: float = 0.5,
        fraction: float = 0.2,
        class_balance: Literal['equal'] | None = 'equal',
        distance_space: DistanceSpace = 'cluster',
        level: Literal['object', 'image'] = 'object',
    ) -> None:
        owner = type(self).__name__
        self.num_bins = check_integer('num_bins', num_bins, low=1, owner=owner)
        self.k_rule = check_choice('k_rule', k_rule, get_args(KRule), owner=owner)
        self.tiles_per_cluster = check_integer('tiles_per_cluster', tiles_per_cluster, low=1, owner=owner)
        self.pca_dim = check_integer('pca_dim', pca_dim, low=1, owner=owner)
        self.per_group = bool(per_group)
        self.allocation = check_choice('allocation', allocation, get_args(Allocation), owner=owner)
        self.alpha = check_number('alpha', alpha, low=0.0, high=1.0, owner=owner)
        self.fraction = check_number('fraction', fraction, low=0.0, high=1.0, low_open=True, owner=owner)
        self.class_balance = check_choice('class_balance', class_balance, ('equal', None), owner=owner)
        self.distance_space = check_choice('distance_space', distance_space, get_args(DistanceSpace), owner=owner)
        self.level = check_choice('level', level, ('object', 'image'), owner=owner)

    @property
    def needs_objects(self) -> bool:
        """Not on image features."""
        return self.level == 'object'

    @property
    def basis(self) -> str:
        """Of the level."""
        return 'a usable object' if self.level == 'object' else 'a finite feature'

    def choose(self, task: Task) -> Sequence[Choice]:
        """Cells, quotas, draws, turns."""
        found = self._cells(task)
        if found is None:
            return []
        drawn = self._draw(task, found)
        order = drawn[round_robin(list(found.path[drawn].T))]
        first = np.sort(np.unique(found.image[order], return_index=True)[1])[: task.budget]
        chosen = order[first]
        self._report(task, found, chosen)
        objects = self.level == 'object'
        return [
            Choice(int(found.image[place]), gain=float(found.distances[place]), rule=f'bin {found.path[place, 3]}',
                   row=int(found.rows[place]) if objects else -1,
                   klass=int(task.pool.obj_class[found.rows[place]]) if objects else -1,
                   cluster=int(found.path[place, 2]))
            for place in chosen
        ]

    def _cells(self, task: Task) -> _Binned | None:
        """Class, group, cluster and bin of every row that can be compared; ``None`` without any."""
        table = task.pool.obj_feat if self.level == 'object' else image_features(task.pool, type(self).__name__)
        parts, clusters, dropped = [], 0, 0
        for klass, group, rows in self._parts(task.pool):
            features = np.array(table[rows], dtype=np.float32)
            finite = np.isfinite(features).all(1)
            dropped += int((~finite).sum())
            if not finite.any():
                continue
            rows, count = rows[finite], int(finite.sum())
            if self.k_rule == 'tiles_per_cluster' and count > LARGE_GROUP:
                task.notes.append(
                    f'group {group} has {count} {self.level}s: time grows with their square at a fixed cluster size. '
                    f"k_rule='sqrt' is faster."
                )
            binned = cluster_and_bin(
                torch.from_numpy(features[finite]),
                number_of_clusters(count, self.k_rule, self.tiles_per_cluster),
                num_bins=self.num_bins, pca_dim=self.pca_dim, distance_space=self.distance_space, seed=task.seed,
            )
            path = np.stack(
                [np.full(count, klass), np.full(count, group), binned.clusters + clusters, binned.bins], axis=1)
            parts.append((rows, path, binned.distances))
            clusters += len(binned.centroids)
        if dropped:
            task.notes.append(f'{dropped} {self.level}s with features that are not finite were left out.')
        if not parts:
            return None
        rows, path, distances = (np.concatenate(items) for items in zip(*parts))
        return _Binned(task, rows, task.pool.obj_image[rows] if self.level == 'object' else rows, path, distances)

    def _parts(self, pool: ObjectPool) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
        """(class, group, rows) of what is clustered together, in ascending order."""
        objects = self.level == 'object'
        rows = pool.usable_rows if objects else np.arange(pool.num_images)
        none = np.zeros(rows.size, np.int64)
        klass = pool.obj_class[rows].astype(np.int64) if objects and self.class_balance is not None else none
        image = pool.obj_image[rows] if objects else rows
        group = pool.img_group[image] if self.per_group and pool.img_group is not None else none
        order = np.lexsort((group, klass))
        changes = (np.diff(klass[order]) != 0) | (np.diff(group[order]) != 0)
        for members in np.split(order, np.flatnonzero(changes) + 1):
            if members.size:
                yield int(klass[members[0]]), int(group[members[0]]), rows[members]

    def _draw(self, task: Task, found: _Binned) -> NDArray[np.int64]:
        """Positions of the drawn rows, those drawn first in their cell first; enough for the budget of images."""
        have, extra, rounds = int(found.cells.labelled.sum()), task.budget, 1
        while True:
            quotas = (
                exact_quotas(have + extra, found.cells, self.alpha) if self.allocation == 'exact'
                else reference_quotas(found.cells, self.fraction, rounds)
            )
            drawn = np.flatnonzero((found.rank < quotas[found.cell]) & ~found.labelled)
            missing = task.budget - np.unique(found.image[drawn]).size
            if missing <= 0 or int(quotas.sum()) >= found.cells.total:
                return drawn[np.argsort(found.rank[drawn], kind='stable')]
            extra, rounds = extra + max(missing, extra // 10), rounds + 1

    def _report(self, task: Task, found: _Binned, chosen: NDArray[np.int64]) -> None:
        """Counts for the reader of the selection."""
        task.report.update(
            groups=int(np.unique(found.path[:, 1]).size),
            clusters=int(np.unique(found.path[:, 2]).size),
            cells=len(found.cells.size),
            cells_chosen=int(np.unique(found.cell[chosen]).size),
        )
        if self.level == 'object':
            names = [*task.pool.classes, 'unknown']
            klass, number = np.unique(task.pool.obj_class[found.rows[chosen]], return_counts=True)
            task.report['chosen_per_class'] = {names[k]: n for k, n in zip(klass.tolist(), number.tolist())}


@dataclass(eq=False)
class _Binned:
    """The rows that can be chosen, the image of each, and their cells.

    ``rank`` is the random order of drawing within a cell, rows of labelled images first: they are drawn already.
    """

    task: Task
    rows: NDArray[np.int64]
    image: NDArray[np.int64]
    path: NDArray[np.int64]
    distances: NDArray[np.float64]

    def __post_init__(self) -> None:
        self.labelled = self.task.selected[self.image]
        bins = int(self.path[:, 3].max()) + 1
        _, first, self.cell, size = np.unique(
            self.path[:, 2] * bins + self.path[:, 3], return_index=True, return_inverse=True, return_counts=True)
        labelled = np.bincount(self.cell, self.labelled, minlength=size.size).astype(np.int64)
        self.cells = Cells(self.path[first], size.astype(np.int64), labelled)
        order = np.lexsort((self.task.rng.random(self.rows.size), ~self.labelled, self.cell))
        self.rank = np.empty(self.rows.size, np.int64)
        self.rank[order] = np.arange(self.rows.size) - np.repeat(np.cumsum(size) - size, size)
