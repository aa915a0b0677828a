"""ZCore: score rows by how often they are needed and how often they are redundant."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from imbdense.core.checks import check_integer
from imbdense.core.selection.feature_rows import FeatureRows
from imbdense.core.selection.feature_selector import FeatureSelector, FeatureTable, Level, Pick

DRAWS_PER_ROW = 10
MAX_DRAWS = 1_000_000
DRAWS_PER_PAIR = 64
COLUMN_BYTES = 128 * 2**20


class ZCore(FeatureSelector):
    """Score each row by random views of two feature dimensions: needed where it covers, redundant near a needed row.

    For each of min(10 n, 1e6) draws a point is drawn, in each of two random dimensions from the triangular distribution
    (smallest, median, largest value). The row nearest to it (L1) gains 1; the 1000 rows nearest to that row lose
    weights ~ 1 / distance^4 that add up to 1 (rows at distance 0 lose all of it, in equal parts; of equal rows the
    lowest gains). Scores are scaled to [0, 1]; rows are taken by falling score. 64 draws share a pair of dimensions, so
    that a table of any size is read few times. Labelled rows take part in the scores and are not taken.

    Args:
        level, normalize: see :class:`FeatureSelector`.
        draws: number of draws; ``None`` = min(10 n, 1e6).
        neighbours: how many rows lose.

    Time: 1/64 n log n, and a search for 1000 neighbours, per draw.

    Source: Griffin et al., Zero-shot coreset selection, 2024.
    """

    def __init__(
        self, level: Level = 'object', normalize: bool = True, draws: int | None = None, neighbours: int = 1000
    ) -> None:
        super().__init__(level, normalize)
        self.draws = None if draws is None else check_integer('draws', draws, low=1, owner='ZCore')
        self.neighbours = check_integer('neighbours', neighbours, low=1, owner='ZCore')

    @property
    def greedy(self) -> bool:
        """Scores do not depend on the budget."""
        return True

    def objective(self, table: FeatureTable) -> ScoreSum:
        """The sum of scores."""
        draws = self.draws or min(DRAWS_PER_ROW * len(table), MAX_DRAWS)
        return ScoreSum(zcore_scores(table.features, draws, self.neighbours, table.task.rng))

    def order(self, table: FeatureTable) -> Iterator[Pick]:
        """See :class:`FeatureSelector`."""
        scores, free = self.objective(table).gains(), table.free
        for row in free[np.argsort(-scores[free], kind='stable')].tolist():
            yield Pick(row, float(scores[row]), 'score')


class ScoreSum:
    """A sum of scores that do not change: an objective of :func:`imbdense.core.selection.lazy_greedy.lazy_greedy`."""

    def __init__(self, scores: NDArray[np.float64]) -> None:
        self._scores = scores

    def gains(self) -> NDArray[np.float64]:
        """(n,) the scores."""
        return self._scores

    def gain(self, row: int) -> float:
        """One score."""
        return float(self._scores[row])

    def add(self, row: int) -> None:
        """Nothing changes."""


def zcore_scores(rows: FeatureRows, draws: int, neighbours: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(n,) scores in [0, 1]; all 0 if they are equal. See :class:`ZCore`."""
    scores = np.zeros(len(rows))
    pairs = -(-draws // DRAWS_PER_PAIR)
    at_once = max(1, min(pairs, COLUMN_BYTES // (8 * len(rows))))
    for start in range(0, pairs, at_once):
        count = min(at_once, pairs - start)
        dims = np.stack([rng.choice(rows.dim, min(2, rows.dim), replace=False) for _ in range(count)])
        columns = np.empty((len(rows), dims.size), dtype=np.float32)
        for place, block in rows.chunks(rows.chunk_rows()):
            columns[place] = block[:, dims.ravel()].cpu().numpy()
        for i in range(count):
            view = columns[:, i * dims.shape[1] : (i + 1) * dims.shape[1]]
            left = min(DRAWS_PER_PAIR, draws - (start + i) * DRAWS_PER_PAIR)
            _score(scores, np.ascontiguousarray(view, dtype=np.float64), left, neighbours, rng)
    spread = scores.max() - scores.min()
    return (scores - scores.min()) / spread if spread > 0 else np.zeros(len(scores))


def _score(
    scores: NDArray[np.float64], view: NDArray[np.float64], draws: int, neighbours: int, rng: np.random.Generator
) -> None:
    """The draws of one pair of dimensions."""
    low, middle, high = view.min(0), np.median(view, 0), view.max(0)
    points = triangular(low, middle, high, rng.random((draws, view.shape[1])))
    tree = cKDTree(view, balanced_tree=False, compact_nodes=False)
    winners, times = np.unique(tree.query(points, p=1)[1], return_counts=True)
    width = min(neighbours + 1, len(view))
    if width < 2:
        scores[winners] += times
        return
    distance, index = tree.query(view[winners], k=width, p=1)
    # The tree may name any of several equal rows; the lowest wins, so that one copy keeps its score in every view.
    winners = np.where(distance == 0, index, len(view)).min(1)
    np.add.at(scores, winners, times)
    for own, count, apart, near in zip(winners, times, distance, index):
        others = near != own
        scores[near[others]] -= count * redundancy(apart[others])


def triangular(
    low: NDArray[np.float64], mode: NDArray[np.float64], high: NDArray[np.float64], uniform: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Values with the triangular distribution whose quantiles are ``uniform``; ``low`` where low = high."""
    width = high - low
    share = np.divide(mode - low, width, out=np.zeros_like(width), where=width > 0)
    rising = low + np.sqrt(uniform * width * (mode - low))
    falling = high - np.sqrt((1 - uniform) * width * (high - mode))
    return np.where(uniform < share, rising, falling)


def redundancy(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights ~ 1 / distance^4 with the sum 1; rows at distance 0 share it."""
    nearest = distance.min()
    if nearest == 0:
        same = distance == 0
        return same / same.sum()
    weight = (nearest / distance) ** 4
    return weight / weight.sum()
