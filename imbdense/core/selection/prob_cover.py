"""ProbCover: the rows whose balls cover the most."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from imbdense.core.checks import check_number
from imbdense.core.selection.ball_graph import BallCover, BallGraph
from imbdense.core.selection.distances import CentreTable, distances_to_origin, origin_of
from imbdense.core.selection.feature_rows import FeatureRows
from imbdense.core.selection.feature_selector import FeatureSelector, FeatureTable, Level, Pick
from imbdense.core.selection.kmeans import kmeans
from imbdense.core.selection.lazy_greedy import lazy_greedy

MAX_EDGES = 200_000_000
PROBED_ROWS = 2000


class ProbCover(FeatureSelector):
    """Take the row with the most uncovered rows within ``delta``, cover these, and go on.

    Labelled rows cover their balls at the start. ``delta=None``: the largest radius with which at least 95 % of the
    balls are pure, that is hold one pseudo-label of k-means with as many clusters as the pool has classes (at least 2);
    it is exact for up to 2000 rows, else estimated from 2000 random ones, and stands in the report (``deltas``). With
    more than 2e8 pairs within the radius only a random part of the rows can be taken; a note says so. Rows that cover
    nothing new follow in the order of their numbers.

    Args:
        level, normalize: see :class:`FeatureSelector`.
        delta: radius > 0; ``None``: see above.

    Time 2 n^2 D; memory 4 bytes per pair within the radius, at most 800 MB.

    Source: Yehuda et al., Active learning through a covering lens, NeurIPS 2022.
    """

    def __init__(self, level: Level = 'object', normalize: bool = True, delta: float | None = None) -> None:
        super().__init__(level, normalize)
        if delta is not None:
            check_number('delta', delta, low=0.0, low_open=True, owner='ProbCover')
        self.delta = delta

    @property
    def greedy(self) -> bool:
        """Each pick depends on those before it only."""
        return True

    def objective(self, table: FeatureTable) -> BallCover:
        """What the picks maximise, with the labelled rows in it."""
        delta = self.delta
        if delta is None:
            delta = pure_radius(table.features, max(2, table.num_classes), table.task.seed)
            table.task.report.setdefault('deltas', []).append(delta)
        graph = BallGraph(table.features, delta, self._sources(table, delta))
        cover = BallCover(graph, len(table))
        for row in table.seeds.tolist():
            cover.add(row)
        return cover

    def order(self, table: FeatureTable) -> Iterator[Pick]:
        """See :class:`FeatureSelector`."""
        for row, gain in lazy_greedy(self.objective(table), table.free):
            yield Pick(row, gain, 'covers')

    def _sources(self, table: FeatureTable, delta: float) -> NDArray[np.int64] | None:
        """All rows, or so many that their balls fit in memory."""
        rng = np.random.default_rng(table.task.seed)
        probed = np.sort(rng.permutation(len(table))[:PROBED_ROWS])
        pairs = BallGraph(table.features, delta, probed).sizes()[probed].mean() * len(table)
        if pairs <= MAX_EDGES:
            return None
        count = max(1, int(len(table) * MAX_EDGES / pairs))
        table.task.notes.append(
            f'ProbCover: about {pairs:.1e} pairs of objects lie within delta={delta:.3g}; {count} of {len(table)} '
            f'objects, drawn at random, can be chosen. A smaller delta allows more.')
        return np.union1d(rng.choice(len(table), count, replace=False), table.seeds)


def pure_radius(rows: FeatureRows, clusters: int, seed: int, purity: float = 0.95) -> float:
    """The largest radius with which at least ``purity`` of the balls hold rows of one k-means cluster only.

    A ball is pure up to the distance of the nearest row of another cluster, so the radius is a quantile of these
    distances. Where all rows are in one cluster or equal, it is 1.

    Args:
        rows: n rows; beyond 2000 the distances of 2000 random ones are looked at.
        clusters: of k-means.
        seed: of k-means and of that draw.
        purity: in (0, 1].

    Returns:
        > 0.
    """
    labels = torch.from_numpy(kmeans(rows, clusters, seed=seed).labels).to(rows.device)
    drawn = np.sort(np.random.default_rng(seed).permutation(len(rows))[:PROBED_ROWS])
    block, own = rows[drawn], labels[torch.as_tensor(drawn, device=rows.device)]
    origin = origin_of(rows)
    table = CentreTable(block, origin)
    nearest = torch.full((len(drawn),), torch.inf, device=rows.device)
    for place, base in rows.chunks(PROBED_ROWS):
        found = table.scores(base) + distances_to_origin(FeatureRows(base), origin, len(base))[:, None]
        found[labels[place, None] == own] = torch.inf
        torch.minimum(nearest, found.min(0).values, out=nearest)
    radius = np.sort(nearest.clamp_min(0).sqrt().cpu().numpy())
    pure = radius[math.floor((1 - purity) * len(radius))]
    positive = radius[(radius > 0) & np.isfinite(radius)]
    if 0 < pure < math.inf:
        return float(pure)
    return float(positive[0]) if len(positive) else 1.0
