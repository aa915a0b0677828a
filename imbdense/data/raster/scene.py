"""One place at one or several dates: bands and labels on one grid, an area of interest, a split, statistics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.change.spatial_blocks import SpatialBlocks
from imbdense.data.geotiff import Window
from imbdense.data.raster.aoi import AreaOfInterest
from imbdense.data.raster.band_stack import BandStack
from imbdense.data.raster.bands import Band
from imbdense.data.raster.grid import Grid
from imbdense.data.raster.labels import IGNORE, LabelRaster
from imbdense.data.raster.statistics import (
    BandStatistics,
    StatisticsCounter,
    blocks_of,
    cached_statistics,
    keep_statistics,
    statistics_key,
)
from imbdense.data.raster.window_draws import Area, PixelPool


@dataclass(frozen=True)
class SceneWindow:
    """What a window holds: ``values`` float32 (h, w, D * B), date by date, 0 where invalid; ``valid`` bool (h, w, D);
    ``inside`` bool (h, w), the area of interest; ``labels``: map name -> uint8 (h, w), 255 = ignored."""

    values: NDArray[np.float32]
    valid: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    labels: dict[str, NDArray[np.uint8]]

    @property
    def fraction(self) -> float:
        """Share of pixels that are valid at every date and inside the area of interest."""
        return float((self.valid.all(axis=2) & self.inside).mean())


@dataclass
class RasterScene:
    """Everything that is read of a place.

    ``stacks``: one per date, of equal bands; ``covers``: class labels per date, or none; ``change``: the change map,
    ``None`` = where the class labels of the first and the last date differ; ``aoi``: ``None`` = everywhere.
    """

    grid: Grid
    stacks: tuple[BandStack, ...]
    covers: tuple[LabelRaster, ...] = ()
    change: LabelRaster | None = None
    aoi: AreaOfInterest | None = None
    blocks: SpatialBlocks | None = field(default=None)

    def __post_init__(self) -> None:
        first = self.stacks[0].bands
        for date, stack in enumerate(self.stacks[1:], start=2):
            if stack.bands != first:
                raise ValueError(f'date {date} has the bands {[band.name for band in stack.bands]}, but date 1 has '
                                 f'{[band.name for band in first]} (names, kinds and roles must be equal).')
        if self.covers and len(self.covers) != len(self.stacks):
            raise ValueError(f'{len(self.stacks)} dates need as many label rasters, but got {len(self.covers)}.')

    @property
    def bands(self) -> tuple[Band, ...]:
        """The bands of one date."""
        return self.stacks[0].bands

    def labels(self, window: Window) -> dict[str, NDArray[np.uint8]]:
        """Return the label maps of a window: 'class' (one date), or 'change', 'class_1', 'class_2', ... of several;
        only those there are."""
        maps = [cover.read(window) for cover in self.covers]
        if len(self.stacks) == 1:
            return {'class': maps[0]} if maps else {}
        found = {f'class_{date}': item for date, item in enumerate(maps, start=1)}
        if self.change is not None:
            found['change'] = self.change.read(window)
        elif maps:
            unknown = (maps[0] == IGNORE) | (maps[-1] == IGNORE)
            found['change'] = np.where(unknown, np.uint8(IGNORE), (maps[0] != maps[-1]).astype(np.uint8))
        return found

    def read(self, window: Window) -> SceneWindow:
        """Return a window. Labels are 255 outside the area of interest and where their date has no data; the change map
        where any date has none."""
        parts = [stack.read(window) for stack in self.stacks]
        values = np.concatenate([part[0] for part in parts], axis=2)
        valid = np.stack([part[1] for part in parts], axis=2)
        inside = self.inside(window)
        labels = self.labels(window)
        for name, label in labels.items():
            known = valid[..., int(name[6:]) - 1] if name.startswith('class_') else valid.all(axis=2)
            label[~(known & inside)] = IGNORE
        return SceneWindow(values, valid, inside, labels)

    def inside(self, window: Window) -> NDArray[np.bool_]:
        """Return which pixels of a window lie in the area of interest."""
        return np.ones(window[2:], bool) if self.aoi is None else self.aoi.mask(window)

    def usable(self, subset: str, window: Window) -> NDArray[np.bool_]:
        """Return which pixels of a window belong to a subset of the split, without its buffer strips."""
        return np.ones(window[2:], bool) if self.blocks is None else self.blocks.usable(subset, window)

    def files(self) -> list[str]:
        """All raster files."""
        paths = [raster.path for stack in self.stacks for raster in stack.rasters.values()]
        paths += [item.raster.path for item in (*self.covers, *([] if self.change is None else [self.change]))]
        return paths + ([] if self.aoi is None else [self.aoi.path])

    def statistics(self, subset: str, num_classes: int, cache: Path | None) -> BandStatistics:
        """Return mean, deviation, percentiles and class pixels of the valid pixels of a subset, of all dates together;
        from ``cache`` where they were counted before for equal files, bands and split.

        Raises:
            ValueError: no valid pixel.
        """
        key = statistics_key(self.files(), self.describe(subset))
        known = None if cache is None else cached_statistics(cache, key)
        if known is not None:
            return known
        counter = StatisticsCounter(self.bands, num_classes)
        for number, window, usable in self._usable_blocks(subset):
            content, rng = self.read(window), np.random.default_rng(number)
            for date, values in enumerate(np.split(content.values, len(self.stacks), axis=2)):
                taken = content.valid[..., date] & content.inside & usable
                label = content.labels.get('class' if len(self.stacks) == 1 else f'class_{date + 1}')
                classes = np.full(taken.shape, IGNORE, np.uint8) if label is None else label
                counter.add(values[taken], classes[taken], rng)
        found = counter.finish(key)
        if cache is not None:
            keep_statistics(cache, found)
        return found

    def pools(self, needs: Sequence[str], subset: str) -> dict[str, PixelPool]:
        """Return random pixels of each class of the maps 'class' (of a series: of its first date) and 'change' in a
        subset, in one pass over the labels.

        Raises:
            ValueError: a map that the scene has not.
        """
        pools = {name: PixelPool() for name in needs}
        for number, window, usable in self._usable_blocks(subset) if pools else ():
            labels, rng = self.labels(window), np.random.default_rng(number)
            labels.setdefault('class', labels.get('class_1'))  # type: ignore[arg-type]
            for name, pool in pools.items():
                label = labels.get(name)
                if label is None:
                    raise ValueError(f'the window sampler needs the {name} labels, but the data set has none.')
                pool.add(np.where(usable & self.inside(window), label, np.uint8(IGNORE)), window[:2], rng)
        return pools

    def describe(self, subset: str) -> Mapping[str, Any]:
        """What decides about the statistics besides the files, JSON-ready."""
        split = None if self.blocks is None else [self.blocks.names, self.blocks.block, self.blocks.buffer,
                                                  self.blocks.owner.tolist(), subset]
        return {'grid': [str(self.grid.crs), list(self.grid.transform)[:6], self.grid.height, self.grid.width],
                'sources': [[repr(source) for source in stack.sources] for stack in self.stacks], 'split': split,
                'labels': [cover.describe() for cover in self.covers]}

    def area(self, window: tuple[int, int], subset: str, pools: dict[str, PixelPool] | None = None) -> Area:
        """Where windows of a subset may lie."""
        return Area((self.grid.height, self.grid.width), window, self.blocks, subset, pools or {})

    def _usable_blocks(self, subset: str) -> Iterator[tuple[int, Window, NDArray[np.bool_]]]:
        """Blocks that hold pixels of a subset, numbered."""
        for number, window in enumerate(blocks_of((self.grid.height, self.grid.width))):
            usable = self.usable(subset, window)
            if usable.any():
                yield number, window, usable
