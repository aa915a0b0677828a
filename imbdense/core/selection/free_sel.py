"""FreeSel: images with patterns that no chosen image has."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_choice, check_integer
from imbdense.core.selection.farthest_first import Companions, farthest_first
from imbdense.core.selection.feature_selector import FeatureSelector, FeatureTable, Level, Pick
from imbdense.core.selection.k_center_greedy import mean_row
from imbdense.core.selection.kmeans import kmeans
from imbdense.core.selection.nearest_centre import NearestCentre

CANDIDATES = 4096
STALE_CENTRES = 64
STALE_DRAWS = 32


class FreeSel(FeatureSelector):
    """Choose the image that owns the pattern farthest from all patterns of the chosen images.

    Patterns of an image: its objects, or, where there are more than ``patterns``, the object nearest to each centroid
    of a k-means of them, so that a pattern is a row and costs no memory. (The published method takes local patterns of
    a vision transformer; give such a pool as objects.) All patterns of a chosen image count as chosen.

    ``rule='farthest'``: the pattern of largest cosine distance to the nearest chosen one; the first image owns the
    pattern nearest to the mean. ``rule='prob'``: a pattern drawn with a probability that follows the square of that
    cosine distance; the first image is random.

    Args:
        level: 'object' or 'class_object'; images as wholes have no patterns.
        patterns: most patterns of an image.
        rule: see above.

    Time 2 n P D for P patterns of the chosen images, in matrix products. Rows are always compared by direction.

    Source: Xie et al., Towards free data selection with general-purpose models, NeurIPS 2023.
    """

    def __init__(
        self, level: Level = 'object', patterns: int = 5, rule: Literal['farthest', 'prob'] = 'prob'
    ) -> None:
        super().__init__(level, True)
        check_choice('level', level, ('object', 'class_object'), owner='FreeSel')
        self.patterns = check_integer('patterns', patterns, low=1, owner='FreeSel')
        self.rule = check_choice('rule', rule, ('farthest', 'prob'), owner='FreeSel')

    @property
    def greedy(self) -> bool:
        """Each pick depends on those before it only."""
        return True

    def order(self, table: FeatureTable) -> Iterator[Pick]:
        """See :class:`FeatureSelector`."""
        rows = self._pattern_rows(table)
        owner = table.image[rows]
        nearest = NearestCentre(table.features.subset(rows))
        centres = np.flatnonzero(np.isin(rows, table.seeds))

        def of_image(place: int) -> NDArray[np.int64]:
            return np.arange(*np.searchsorted(owner, [owner[place], owner[place] + 1]))

        if not len(centres):
            first = self._first(nearest, owner, table)
            yield Pick(int(rows[first]), 0.0, 'nearest to the mean' if self.rule == 'farthest' else 'random')
            centres = of_image(first)
        nearest.add(centres)
        farthest = self.rule == 'farthest'
        picks = (
            farthest_first(nearest, CANDIDATES, of_image) if farthest else drawn_by_distance(
                nearest, of_image, table.task.rng))
        for place, squared in picks:
            yield Pick(int(rows[place]), squared / 2, self.rule)

    def _first(self, nearest: NearestCentre, owner: NDArray[np.int64], table: FeatureTable) -> int:
        """The pattern that starts."""
        if self.rule == 'farthest':
            return int(nearest.from_point(mean_row(nearest.rows)).argmin())
        starts = np.flatnonzero(np.diff(owner, prepend=-1))  # each image as likely, however many patterns it has
        return int(starts[table.task.rng.integers(len(starts))])

    def _pattern_rows(self, table: FeatureTable) -> NDArray[np.int64]:
        """Rows that stand for their images, ascending; rows are sorted by image."""
        edges = np.flatnonzero(np.diff(table.image, prepend=-1, append=-1)).tolist()
        kept = []
        for start, stop in pairwise(edges):
            index = np.arange(start, stop)
            if stop - start > self.patterns:
                clusters = kmeans(table.features.subset(index), self.patterns, seed=table.task.seed)
                order = np.lexsort((index, clusters.distances, clusters.labels))
                firsts = np.searchsorted(clusters.labels[order], np.arange(self.patterns))
                index = np.sort(index[order[firsts]])
            kept.append(index)
        return np.concatenate(kept)


def drawn_by_distance(
    nearest: NearestCentre, companions: Companions, rng: np.random.Generator
) -> Iterator[tuple[int, float]]:
    """Rows drawn with p ~ d^2 of the squared distances d; then the rows that equal a centre, by their number.

    Drawn by distances that are out of date and accepted with probability (now / then)^2, which is the same; all rows
    are brought up to date when many centres are new or many draws were refused.

    Args:
        nearest: with at least one centre.
        companions: rows that become centres when a row is taken, with itself.
        rng: where the draws come from.

    Yields:
        (row, d when it was taken).
    """
    distance = nearest.distance
    while distance.max() > 0:
        edges = np.cumsum(np.square(distance.clip(0), dtype=np.float64))
        new: list[int] = []
        refused = 0
        while len(new) < STALE_CENTRES and refused < STALE_DRAWS:
            row = int(np.searchsorted(edges, rng.random() * edges[-1], side='right').clip(0, len(edges) - 1))
            then = float(distance[row])
            now = 0.0 if row in new else _now(nearest, row, new, then)
            if then <= 0 or not rng.random() * then**2 < now**2:
                refused += 1
                continue
            yield row, now
            new += companions(row).tolist()
        nearest.add(np.array(new, dtype=np.int64))
    for row in np.flatnonzero(distance == 0).tolist():
        if distance[row] == 0:
            yield row, 0.0
            distance[companions(row)] = -1.0


def _now(nearest: NearestCentre, row: int, new: list[int], then: float) -> float:
    """The distance of one row with the new centres."""
    if not new:
        return then
    own = nearest.rows[np.array([row])]
    return min(then, float((nearest.rows[np.array(new)] - own).square().sum(1).min()))
