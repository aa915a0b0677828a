"""Greedy k-centre: the row farthest from everything chosen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from imbdense.core.checks import check_integer
from imbdense.core.selection.farthest_first import farthest_first
from imbdense.core.selection.feature_rows import FeatureRows
from imbdense.core.selection.feature_selector import FeatureSelector, FeatureTable, Level, Pick
from imbdense.core.selection.nearest_centre import NearestCentre


class KCenterGreedy(FeatureSelector):
    """Take the row farthest from all labelled and chosen rows, again and again: nothing in the pool stays far away.

    The largest distance left is at most twice the least possible one. Exactly the order of the textbook loop, many
    steps per pass (see :func:`farthest_first`). Starts from the labelled rows, or, without any, with the row nearest to
    the mean. Gain: distance to the nearest centre. The budget counts new images.

    Args:
        level, normalize: see :class:`FeatureSelector`.
        candidates: rows followed between two passes; it changes the time, not the result.

    Time 2 n P D for P picked rows in matrix products; memory O(n) + candidates x D.

    Source: Gonzalez 1985; Sener & Savarese, Active learning for convolutional neural networks: a core-set approach,
    ICLR 2018.
    """

    def __init__(self, level: Level = 'object', normalize: bool = True, candidates: int = 4096) -> None:
        super().__init__(level, normalize)
        self.candidates = check_integer('candidates', candidates, low=1, owner='KCenterGreedy')

    @property
    def greedy(self) -> bool:
        """Each pick depends on those before it only."""
        return True

    def order(self, table: FeatureTable) -> Iterator[Pick]:
        """See :class:`FeatureSelector`."""
        nearest = NearestCentre(table.features)
        centres = table.seeds
        if not len(centres):
            first = int(nearest.from_point(mean_row(table.features)).argmin())
            yield Pick(first, 0.0, 'nearest to the mean')
            centres = np.array([first])
        nearest.add(centres)
        for row, squared in farthest_first(nearest, self.candidates):
            yield Pick(row, squared**0.5, 'farthest')


def mean_row(rows: FeatureRows) -> Tensor:
    """(D,) float32 mean of all rows."""
    total = torch.zeros(rows.dim, dtype=torch.float64, device=rows.device)
    for _, block in rows.chunks(rows.chunk_rows()):
        total += block.sum(0, dtype=torch.float64)
    return (total / len(rows)).float()
