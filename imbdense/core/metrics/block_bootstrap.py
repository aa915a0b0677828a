"""Intervals from blocks of space: neighbouring pixels err together, so whole blocks are drawn, never pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_integer, check_number

Sums = Mapping[str, NDArray[Any]]
Statistic = Callable[[Sums], Mapping[str, NDArray[np.float64]]]


@dataclass(frozen=True)
class SpatialBlockBootstrap:
    """Percentile intervals of scores over resampled blocks.

    Everything a score needs adds up over blocks. So a resample of B blocks with replacement is a vector of B
    multiplicities, and all resamples at once are one matrix product: (n_boot, B) @ (B, width).

    Args:
        n_boot: resamples. seed: of numpy's ``default_rng``; equal seeds give equal intervals.
        alpha: the interval covers 1 - alpha. block: side in pixels of the blocks that a scene is cut into; ``None`` =
            every sample is a block, or belongs to the one that its ``block_id`` names.

    One block alone has no spread: its interval is a point. Resamples in which a score is undefined (no change drawn)
    are left out of its percentiles.
    """

    n_boot: int = 1000
    seed: int = 0
    alpha: float = 0.05
    block: int | None = None

    def __post_init__(self) -> None:
        check_integer('n_boot', self.n_boot, low=1, owner='SpatialBlockBootstrap')
        check_integer('seed', self.seed, low=0, owner='SpatialBlockBootstrap')
        check_number('alpha', self.alpha, low=0.0, high=1.0, low_open=True, owner='SpatialBlockBootstrap')
        if self.block is not None:
            check_integer('block', self.block, low=1, owner='SpatialBlockBootstrap')

    def resample(self, blocks: Sums) -> dict[str, NDArray[np.float64]]:
        """Sums (n_boot, width) of all resamples, from sums per block (B, width), the same draws for every name."""
        sizes = {len(values) for values in blocks.values()}
        if len(sizes) != 1 or 0 in sizes:
            found = sorted(sizes)
            raise ValueError(f'SpatialBlockBootstrap: every table needs the same B > 0 blocks, but got {found}.')
        size = sizes.pop()
        draws = np.random.default_rng(self.seed).multinomial(size, np.full(size, 1.0 / size), size=self.n_boot)
        times = draws.astype(np.float64)
        return {name: times @ np.asarray(values, dtype=np.float64) for name, values in blocks.items()}

    def intervals(self, blocks: Sums, statistic: Statistic) -> dict[str, tuple[float, float]]:
        """(low, high) of every score of ``statistic``, which takes sums (n, width) and returns scores (n,)."""
        return {name: self._percentiles(values) for name, values in statistic(self.resample(blocks)).items()}

    def paired(self, ours: Sums, theirs: Sums, statistic: Statistic) -> dict[str, tuple[float, float, float]]:
        """(difference, low, high) of every score, ours - theirs, with the same blocks drawn for both.

        Args:
            ours, theirs: sums per block (B, width) of two models on the same blocks in the same order.
        """
        total = [
            statistic({name: np.asarray(values).sum(axis=0, keepdims=True) for name, values in side.items()})
            for side in (ours, theirs)
        ]
        drawn = [statistic(self.resample(side)) for side in (ours, theirs)]
        return {
            name: (float(total[0][name][0] - total[1][name][0]), *self._percentiles(drawn[0][name] - drawn[1][name]))
            for name in drawn[0]
            if name in drawn[1]
        }

    def _percentiles(self, values: NDArray[np.float64]) -> tuple[float, float]:
        """Percentiles of the defined values; NaN without any."""
        defined = values[~np.isnan(values)]
        if defined.size == 0:
            return float('nan'), float('nan')
        low, high = np.percentile(defined, [50 * self.alpha, 100 - 50 * self.alpha])
        return float(low), float(high)
