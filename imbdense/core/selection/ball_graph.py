"""Which rows lie within a radius of which."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from imbdense.core.selection.distances import CentreTable, distances_to_origin, origin_of, pair_distances
from imbdense.core.selection.feature_rows import FeatureRows
from imbdense.core.selection.nearest_centre import EPSILON

BLOCK = 2048


class BallGraph:
    """For each source row the rows nearer than ``radius`` (strictly), itself included.

    Distances next to the radius are computed term by term, so that the graph is that of exact distances.

    Args:
        rows: n rows.
        radius: > 0.
        sources: int64 rows that get a ball, ascending; ``None`` = all.

    Time 2 n S D for S sources; memory 4 bytes per edge.
    """

    def __init__(self, rows: FeatureRows, radius: float, sources: NDArray[np.int64] | None = None) -> None:
        self.sources = np.arange(len(rows)) if sources is None else sources
        self._place = np.full(len(rows), -1, dtype=np.int64)
        self._place[self.sources] = np.arange(len(self.sources))
        self._rows, self._limit = rows, radius * radius
        self._origin = origin_of(rows)
        self._from_origin = distances_to_origin(rows, self._origin, rows.chunk_rows())
        self._reach = self._from_origin.sqrt() + self._origin.norm()
        starts = range(0, len(self.sources), BLOCK)
        self._parts = [self._balls(self.sources[start : start + BLOCK]) for start in starts]

    def ball(self, row: int) -> NDArray[np.int32]:
        """Rows within the radius of a source, ascending; nothing for a row that is no source."""
        place = self._place[row]
        if place < 0:
            return np.empty(0, dtype=np.int32)
        edges, targets = self._parts[place // BLOCK]
        return targets[edges[place % BLOCK] : edges[place % BLOCK + 1]]

    def sizes(self) -> NDArray[np.int64]:
        """(n,) rows in each ball; 0 for a row that is no source."""
        found = np.zeros(len(self._rows), dtype=np.int64)
        if self._parts:
            found[self.sources] = np.concatenate([np.diff(edges) for edges, _ in self._parts])
        return found

    def _balls(self, sources: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Edges of up to 2048 sources, as offsets and targets."""
        block = self._rows[sources]
        table = CentreTable(block, self._origin)
        index = torch.as_tensor(sources, device=block.device)
        reach = self._reach[index].max()
        lines, targets = [], []
        for place, base in self._rows.chunks(BLOCK):
            found = table.scores(base).add_(self._from_origin[place, None])
            margin = (EPSILON * (self._reach[place] + reach).square())[:, None]
            near = (found - self._limit) < margin
            row, line = torch.nonzero(near, as_tuple=True)
            inside = (found[row, line] - self._limit) < -margin[row, 0]
            for start in range(0, len(row), BLOCK):
                part = slice(start, start + BLOCK)
                doubt = torch.nonzero(~inside[part])[:, 0] + start
                inside[doubt] = pair_distances(base[row[doubt]], block[line[doubt]]) < self._limit
            lines.append(line[inside].cpu().numpy().astype(np.int32))
            targets.append((row[inside] + place.start).cpu().numpy().astype(np.int32))
        line, target = np.concatenate(lines), np.concatenate(targets)
        order = np.argsort(line, kind='stable')
        counts = np.bincount(line, minlength=len(sources))
        return np.concatenate([[0], np.cumsum(counts)]), target[order]


class BallCover:
    """How many rows lie in the balls of the chosen ones; an objective of :func:`lazy_greedy`."""

    def __init__(self, graph: BallGraph, size: int) -> None:
        self._graph, self.covered = graph, np.zeros(size, dtype=bool)

    def gains(self) -> NDArray[np.float64]:
        """(n,) rows each ball would add."""
        if not self.covered.any():
            return self._graph.sizes().astype(np.float64)
        found = np.zeros(len(self.covered))
        for row in self._graph.sources.tolist():
            found[row] = self.gain(row)
        return found

    def gain(self, row: int) -> float:
        """Rows of its ball that are not covered yet."""
        ball = self._graph.ball(row)
        return float(len(ball) - np.count_nonzero(self.covered[ball]))

    def add(self, row: int) -> None:
        """Cover its ball."""
        self.covered[self._graph.ball(row)] = True
