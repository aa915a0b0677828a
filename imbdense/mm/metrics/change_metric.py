"""The base of the metrics of pairs of images: blocks of space, areas, intervals."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.metrics.block_bootstrap import SpatialBlockBootstrap
from imbdense.core.metrics.change_blocks import scores_of_sums
from imbdense.core.metrics.change_scores import HistogramSums
from imbdense.core.metrics.transitions import HECTARE, pixel_area
from imbdense.mm.metrics.dense_sample import place_of
from imbdense.mm.metrics.table_metric import Counts, TableMetric, as_table

Sums = dict[str, HistogramSums]
Table = Mapping[str, NDArray[np.int64]]


class ChangeMetric(TableMetric):
    """A metric of maps of several dates.

    A subclass implements ``read`` (sample -> byte maps of one size), ``tabulate`` (maps -> int64 tables) and ``sums``
    (tables -> named histogram sums). This base adds, where asked for:

    * blocks: with ``ci``, the sums named by ``resampled`` are kept of every block of space beside the total. A block is
      what ``block_id`` of the sample names; without one the sample itself, or, if ``ci`` has a ``block``, squares of
      that side. Squares are those of the scene where the sample says which ``window`` of it it is, so that many small
      windows make up one block; else each sample is cut by itself.
    * areas: where samples carry a projected ``transform`` (a, b, c, d, e, f) in metres, the sums named in ``located``
      are also kept in square millimetres.

    Args:
        ci: arguments of :class:`SpatialBlockBootstrap`, or ``None`` for no intervals.
        ignore_index: value of unknown label pixels. collect_device, prefix: as in mmengine.
    """

    located: tuple[str, ...] = ()

    def __init__(
        self,
        ci: Mapping[str, Any] | None = None,
        ignore_index: int = 255,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.bootstrap = make_bootstrap(ci, type(self).__name__)
        self.ignore_index = ignore_index
        self._warned = False

    @abstractmethod
    def read(self, sample: Mapping[str, Any]) -> Sequence[Tensor]:
        """Return the maps of a sample, (H, W) each, in the order ``tabulate`` takes them."""

    @abstractmethod
    def tabulate(self, *maps: Tensor) -> dict[str, NDArray[np.int64]]:
        """Count maps of one size into tables."""

    @abstractmethod
    def sums(self, tables: Table) -> Sums:
        """Return the histogram sums of tables of ``tabulate``, by the names of :func:`scores_of_sums`."""

    @property
    @abstractmethod
    def resampled(self) -> Sequence[str]:
        """Names of the sums that get intervals."""

    def record(self, tables: Table) -> Any:
        """What is kept of one sample besides its tables; nothing unless a subclass says so."""
        return None

    def count(self, sample: Mapping[str, Any], index: int) -> tuple[dict[str, Tensor], Any]:
        """Count one sample, block by block."""
        maps = self.read(sample)
        if len({tuple(item.shape) for item in maps}) > 1:
            raise ValueError(
                f'{type(self).__name__}: the maps of {place_of(sample)} differ in size: '
                f'{[tuple(item.shape) for item in maps]}. Was the prediction resized to the size of the label?'
            )
        total: dict[str, NDArray[np.int64]] = {}
        for block, part in self._blocks(sample, index, tuple(maps[0].shape)):
            try:
                tables = self.tabulate(*(item[part] for item in maps))
            except ValueError as error:
                raise ValueError(f'{type(self).__name__}: {place_of(sample)}: {error}') from None
            _add(total, tables)
            if self.bootstrap is not None:
                sums = self.sums(tables)
                _add(total, {f'block:{name}:{block}': sums[name].pack() for name in self.resampled})
        record = self.record(total)
        _add(total, self._areas(sample, total))
        return {name: as_table(table) for name, table in total.items()}, record

    def intervals(self, tables: Table, **options: Any) -> tuple[dict[str, tuple[float, float]], dict[str, Any] | None]:
        """(score -> (low, high), the blocks for the artefact); ({}, ``None``) without ``ci``."""
        if self.bootstrap is None:
            return {}, None
        rows: dict[str, dict[str, Counts]] = {}
        for key, table in tables.items():
            if key.startswith('block:'):
                _, name, block = key.split(':', 2)
                rows.setdefault(name, {})[block] = table
        ids = sorted(next(iter(rows.values())))
        blocks = {name: np.stack([row[block] for block in ids]) for name, row in rows.items()}
        found = self.bootstrap.intervals(blocks, lambda packed: scores_of_sums(packed, **options))
        return found, {'ids': ids, 'sums': blocks, 'options': options}

    def hectares(self, tables: Table, name: str) -> HistogramSums | None:
        """The sums of that name in hectares (float64); ``None`` unless every sample had a ``transform``."""
        with_transform, samples = tables['located'].tolist()
        if with_transform == 0 or with_transform < samples:
            return None
        return HistogramSums.unpack(tables[f'area/{name}'] / HECTARE)

    def _blocks(
        self, sample: Mapping[str, Any], index: int, shape: tuple[int, ...]
    ) -> Iterator[tuple[str, tuple[slice, slice]]]:
        """(name of the block, its part of the maps)."""
        side = self.bootstrap.block if self.bootstrap else None
        named = sample.get('block_id')
        if named is not None or side is None:
            yield f'{place_of(sample)}#{index}' if named is None else str(named), (slice(None), slice(None))
            return
        window = tuple(int(number) for number in sample.get('window') or ())
        in_scene = len(window) == 4 and window[2:] == shape
        top, left = window[:2] if in_scene else (0, 0)
        scene = place_of(sample) if in_scene else f'{place_of(sample)}#{index}'
        for row in range(top // side * side, top + shape[0], side):
            for column in range(left // side * side, left + shape[1], side):
                rows = slice(max(row - top, 0), row - top + side)
                yield f'{scene}@{row},{column}', (rows, slice(max(column - left, 0), column - left + side))

    def _areas(self, sample: Mapping[str, Any], tables: Table) -> dict[str, NDArray[np.int64]]:
        """The located sums in square millimetres, and whether this sample has an area."""
        if not self.located:
            return {}
        transform, area = sample.get('transform'), 0
        if transform is not None:
            try:
                area = pixel_area(transform)
            except ValueError as error:
                if not self._warned:
                    print_log(f'{type(self).__name__}: {place_of(sample)}: {error}', logger='current', level=30)
                self._warned = True
        located = {'located': np.array([int(area > 0), 1])}
        if not area:
            return located
        sums = self.sums(tables)
        return located | {f'area/{name}': sums[name].pack() * area for name in self.located if name in sums}


def make_bootstrap(ci: Mapping[str, Any] | None, owner: str) -> SpatialBlockBootstrap | None:
    """The bootstrap that a config describes; ``type`` may be written, there is but one."""
    if ci is None:
        return None
    arguments = {key: value for key, value in ci.items() if key != 'type'}
    if ci.get('type', 'SpatialBlockBootstrap') != 'SpatialBlockBootstrap':
        raise ValueError(f"{owner}: ci must be a dict(type='SpatialBlockBootstrap', ...), but got {dict(ci)}.")
    names = [field.name for field in fields(SpatialBlockBootstrap)]
    unknown = sorted(set(arguments) - set(names))
    if unknown:
        raise ValueError(f'{owner}: ci takes {", ".join(names)}, but not {", ".join(unknown)}.')
    return SpatialBlockBootstrap(**arguments)


def with_intervals(scalars: dict[str, float], found: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Add ``<key>_lo`` and ``<key>_hi`` of the returned keys."""
    low = {f'{key}_lo': pair[0] for key, pair in found.items() if key in scalars}
    return scalars | low | {f'{key}_hi': pair[1] for key, pair in found.items() if key in scalars}


def percent(value: float) -> str:
    """'12.34', or 'n/a' where undefined: never 0 or 100 for what is not there."""
    return 'n/a' if np.isnan(value) else f'{100 * value:.2f}'


def with_range(key: str, value: float, found: Mapping[str, tuple[float, float]]) -> str:
    """A percentage with its interval, if there is one."""
    if key not in found or np.isnan(found[key][0]):
        return percent(value)
    return f'{percent(value)} [{percent(found[key][0])}, {percent(found[key][1])}]'


def _add(total: dict[str, NDArray[np.int64]], tables: Table) -> None:
    """Add tables by name."""
    for name, table in tables.items():
        total[name] = total[name] + table if name in total else table
