"""One pass down a panel: read rows once, cut tiles, run the network, hand out finished rows of layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.inference.equal_batches import EqualBatches
from imbdense.core.inference.map_layers import MapLayer, MapMaker
from imbdense.core.inference.score_strip import ScoreStrip
from imbdense.data.raster.layout import BLOCK, Run
from imbdense.data.raster.reader import Planes, RowFeed
from imbdense.data.raster.source_stack import Stack
from imbdense.mm.raster.network import RasterNetwork
from imbdense.mm.raster.plan import RasterPlan

Rows = dict[str, NDArray[np.generic]]
"""Finished rows (h, width of the run) of every layer."""


class Sweep:
    """Computes the rows of a run; equal to what any other run says about the same pixels.

    Every value is computed on the whole tile, whose place belongs to the raster and not to the run; a run only decides
    which tiles are looked at and which of their pixels are kept.

    Args:
        threads: readers that work ahead. batch: tiles at once, see :class:`EqualBatches`.
    """

    def __init__(
        self, network: RasterNetwork, maker: MapMaker, plan: RasterPlan, stack: Stack, threads: int, batch: int
    ) -> None:
        self.network, self.maker, self.plan, self.stack, self.threads = network, maker, plan, stack, threads
        self.batches = EqualBatches(network, batch, network.device)

    def __call__(self, run: Run) -> Iterator[tuple[int, Rows]]:
        """Yield (first row, layers) from top to bottom; together they cover the run. 255 / 65535 where no data."""
        rows, columns = self.plan.rows, self.plan.columns
        numbers = rows.touching(run.top, run.bottom)
        window = (*rows.reach(run.top, run.bottom), *columns.reach(run.left, run.right))
        kind = _BlendedRows if self.plan.mode == 'blend' else _CutRows
        sink, top = kind(self.maker, self.plan, run, self.network.device), run.top
        with RowFeed(self.stack, *window, self.threads) as feed:
            for number in numbers:
                first = rows.origins[number]
                values, valid = feed.rows(first, min(first + self.plan.tile, rows.length))
                bottom = run.bottom if number == numbers[-1] else max(top, rows.spans[number + 1][0])
                tiles = columns.touching(run.left, run.right)
                for column, scores in self._scores(number, tiles, values, valid, window[2]):
                    sink.add(number, column, scores)
                if bottom == top:  # the next tiles speak about the first rows as well
                    continue
                found = sink.take(top, bottom)
                known = valid[top - first : bottom - first, run.left - window[2] : run.right - window[2]]
                for layer in self.maker.layers:
                    found[layer.name][~known] = layer.nodata
                yield top, found
                top = bottom

    def _scores(
        self, row: int, columns: Sequence[int], values: NDArray[np.generic], valid: NDArray[np.bool_], left: int
    ) -> Iterator[tuple[int, Tensor]]:
        """(number, scores (K, T, T)) of the tiles of one row that speak about any valid pixel, in order."""
        waiting: list[tuple[int, Tensor]] = []
        for column in columns:
            origin = self.plan.columns.origins[column]
            start = origin - left
            place = slice(start, start + self.plan.tile)
            (y0, y1), (x0, x1) = self.plan.rows.spans[row], self.plan.columns.spans[column]
            first = self.plan.rows.origins[row]
            if not valid[y0 - first : y1 - first, x0 - left : x1 - left].any():
                continue
            waiting.append((column, self._prepared((values[:, :, place], valid[:, place]))))
            if len(waiting) >= self.batches.size:
                yield from self._computed(waiting)
                waiting = []
        yield from self._computed(waiting)

    def _prepared(self, planes: Planes) -> Tensor:
        """A tile as the network wants it; a raster smaller than a tile is mirrored at its lower and right border."""
        values, valid = planes
        missing = [(0, self.plan.tile - size) for size in valid.shape]
        if any(pad for _, pad in missing):
            values = np.pad(values, [(0, 0), *missing], mode='reflect')
            valid = np.pad(valid, missing, mode='reflect')
        return self.network.prepare(values, valid)

    def _computed(self, waiting: Sequence[tuple[int, Tensor]]) -> Iterator[tuple[int, Tensor]]:
        """Scores of the waiting tiles."""
        return zip([column for column, _ in waiting], self.batches([tile for _, tile in waiting]))


class _BlendedRows:
    """Weighted probabilities of overlapping tiles, summed in a strip."""

    def __init__(self, maker: MapMaker, plan: RasterPlan, run: Run, device: torch.device) -> None:
        self.maker, self.plan = maker, plan
        self.strip = ScoreStrip(maker.channels, plan.tile, run.top, run.left, run.right, device)

    @torch.inference_mode()
    def add(self, row: int, column: int, scores: Tensor) -> None:
        """Add one tile."""
        rows, columns = self.plan.rows, self.plan.columns
        (y0, y1), (x0, x1) = rows.spans[row], columns.spans[column]
        factor = torch.outer(rows.weights[row], columns.weights[column]).to(scores.device)
        self.strip.add(self.maker.probabilities(scores[:, : y1 - y0, : x1 - x0], factor), y0, x0)

    @torch.inference_mode()
    def take(self, top: int, bottom: int) -> Rows:
        """Finish the rows [top, bottom), in pieces that end where blocks and tiles do: the same in every run."""
        sums = self.strip.finished(bottom)
        found = _empty(self.maker.layers, bottom - top, sums.shape[2])
        cuts = [top, *range((top // BLOCK + 1) * BLOCK, bottom, BLOCK), bottom]
        for first, last in pairwise(cuts):
            for left in range(0, sums.shape[2], BLOCK):
                place = slice(first - top, last - top), slice(left, left + BLOCK)
                for name, value in self.maker.from_probabilities(sums[(slice(None), *place)].contiguous()).items():
                    found[name][place] = value.cpu().numpy()
        self.strip.move(bottom)
        return found


class _CutRows:
    """The centre of each tile, cut out and put beside the others."""

    def __init__(self, maker: MapMaker, plan: RasterPlan, run: Run, device: torch.device) -> None:
        self.maker, self.plan, self.run = maker, plan, run
        self.found: Rows | None = None

    @torch.inference_mode()
    def add(self, row: int, column: int, scores: Tensor) -> None:
        """Put the layers of one tile into its place."""
        rows, columns, run = self.plan.rows, self.plan.columns, self.run
        (y0, y1), (x0, x1) = rows.spans[row], columns.spans[column]
        top, bottom, left, right = max(y0, run.top), min(y1, run.bottom), max(x0, run.left), min(x1, run.right)
        if self.found is None:
            self.found = _empty(self.maker.layers, bottom - top, run.right - run.left)
        oy, ox = rows.origins[row], columns.origins[column]
        for name, value in self.maker.from_logits(scores[:, y0 - oy : y1 - oy, x0 - ox : x1 - ox]).items():
            kept = value[top - y0 : bottom - y0, left - x0 : right - x0]
            self.found[name][:, left - run.left : right - run.left] = kept.cpu().numpy()

    def take(self, top: int, bottom: int) -> Rows:
        """Hand out the rows [top, bottom); a row of tiles without data was never begun."""
        found = self.found or _empty(self.maker.layers, bottom - top, self.run.right - self.run.left)
        self.found = None
        return found


def _empty(layers: Sequence[MapLayer], height: int, width: int) -> Rows:
    """Layers without data."""
    return {layer.name: np.full((height, width), layer.nodata, layer.dtype) for layer in layers}
