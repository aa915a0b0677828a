"""Tiles of large rasters as an object pool: read window by window, never a whole raster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_integer, check_number
from imbdense.data.geotiff import Window, open_raster, read_window
from imbdense.data.object_pool import PoolImage, PoolWriter

TileFeatures = Callable[[NDArray[Any], NDArray[np.bool_]], NDArray[Any]]
"""(values (B, S, S, C) as in the file, valid (B, S, S)) -> features (B, D)."""


@dataclass(frozen=True, eq=False)
class Tile:
    """One window of a raster.

    Attributes:
        index: in :attr:`TilePool.names`. window: (row, column, height, width) inside the raster.
        values: (S, S, C) in the number type of the file, 0 beyond the edge.
        valid: (S, S) bool, ``False`` for nodata and beyond the edge.
    """

    index: int
    window: Window
    values: NDArray[Any]
    valid: NDArray[np.bool_]


class TilePool:
    """Square tiles of rasters, in rows from the upper left corner, as images of an object pool.

    Tiles at the right and lower edge reach beyond the raster; what lies outside counts as nodata. Only tiles are in
    memory, and the blocks GDAL caches. The pool indexes places and features; it keeps no pixels.

    Args:
        rasters: name -> file, or files whose stems are the names.
        size: S, side of a tile. stride: pixels from one tile to the next.
        max_nodata: in [0, 1]; tiles with a larger share without data are left out.
        bands: 1-based numbers; ``None`` = all.

    Attributes:
        names: M unique ids ``<raster>_<row>_<column>`` of all tiles, those left out included.

    Raises:
        ValueError: no raster, two of one name, a number out of range. OSError: a file that cannot be read.
    """

    def __init__(
        self,
        rasters: Mapping[str, str | os.PathLike[str]] | Sequence[str | os.PathLike[str]],
        size: int = 256,
        stride: int = 256,
        max_nodata: float = 0.5,
        bands: Sequence[int] | None = None,
    ) -> None:
        self.size = check_integer('size', size, low=1, owner='TilePool')
        self.stride = check_integer('stride', stride, low=1, owner='TilePool')
        self.max_nodata = check_number('max_nodata', max_nodata, low=0.0, high=1.0, owner='TilePool')
        self.bands = None if bands is None else list(bands)
        self._files = _named(rasters)
        self._windows: list[tuple[int, Window]] = []
        self.names: list[str] = []
        for number, (name, file) in enumerate(self._files.items()):
            with open_raster(file) as source:
                height, width = source.shape
            for row in range(0, height, self.stride):
                for column in range(0, width, self.stride):
                    window = (row, column, min(self.size, height - row), min(self.size, width - column))
                    self._windows.append((number, window))
                    self.names.append(f'{name}_{row}_{column}')

    def __len__(self) -> int:
        """M, tiles without data included."""
        return len(self.names)

    def tiles(self, indices: Sequence[int] | None = None) -> Iterator[Tile]:
        """Read the tiles ``indices`` (ascending; ``None`` = all) one after the other, those without data included.

        Raises:
            ValueError: a band that is not there. OSError: a raster that cannot be read.
        """
        wanted = range(len(self)) if indices is None else indices
        files, start = list(self._files.values()), 0
        while start < len(wanted):
            number = self._windows[wanted[start]][0]
            with open_raster(files[number]) as source:
                while start < len(wanted) and self._windows[wanted[start]][0] == number:
                    yield self._read(source, wanted[start])
                    start += 1

    def write(
        self,
        folder: str | os.PathLike[str],
        features: TileFeatures,
        *,
        identity: Mapping[str, Any] | None = None,
        batch_size: int = 16,
        dtype: str = 'float16',
        normalize: bool = False,
    ) -> Path:
        """Write an object pool: each tile an image with one object of unknown class, each raster a group.

        The box is that of the tile in pixels of the raster, the area its valid pixels. Tiles without enough data are
        recorded as left out. A run that was killed goes on where it stopped.

        Args:
            folder: of the pool; see :class:`imbdense.data.object_pool.PoolWriter` for ``dtype`` and ``normalize``.
            features: function of a batch of tiles.
            identity: what decides the features (weights, ...), JSON types.
            batch_size: most tiles in one call of ``features``.

        Raises:
            ValueError: ``features`` returns another number of rows. PoolError, FileWriteError: see the writer.
        """
        made_from = {
            'rasters': list(self._files), 'size': self.size, 'stride': self.stride, 'max_nodata': self.max_nodata,
            'bands': self.bands, **(identity or {}),
        }  # fmt: skip
        with PoolWriter(
            folder, self.names, [], source='tiles', identity=made_from, dtype=dtype, normalize=normalize,
            with_groups=True,
        ) as writer:  # fmt: skip
            batch: list[Tile] = []
            for tile in self.tiles(writer.missing()):
                empty = 1 - float(tile.valid.mean())
                if empty > self.max_nodata:
                    writer.fail(tile.index, f'{empty:.0%} without data')
                    continue
                batch.append(tile)
                if len(batch) == batch_size:
                    self._add(writer, batch, features)
                    batch = []
            self._add(writer, batch, features)
            return writer.finish()

    def _add(self, writer: PoolWriter, batch: Sequence[Tile], features: TileFeatures) -> None:
        """Features of a batch, one object per tile."""
        if not batch:
            return
        found = np.asarray(features(np.stack([t.values for t in batch]), np.stack([t.valid for t in batch])))
        if found.ndim != 2 or len(found) != len(batch):
            raise ValueError(f'features must return (B, D) for B = {len(batch)} tiles, but returned {found.shape}.')
        for tile, feature in zip(batch, found):
            row, column, height, width = tile.window
            box = [[column, row, column + width, row + height]]
            writer.add(tile.index, PoolImage(
                np.full(1, -1, np.int32), np.ones(1, np.float32), np.array(box, np.float32),
                np.array([tile.valid.sum()], np.float32), feature[None], group=self._windows[tile.index][0],
            ))  # fmt: skip

    def _read(self, source: Any, index: int) -> Tile:
        """One tile, continued with zeros beyond the edge."""
        window = self._windows[index][1]
        inside, mask = read_window(source, window, self.bands)
        values = np.zeros((self.size, self.size, inside.shape[2]), inside.dtype)
        valid = np.zeros((self.size, self.size), dtype=bool)
        values[: window[2], : window[3]] = inside
        valid[: window[2], : window[3]] = mask
        return Tile(index, window, values, valid)


def _named(
    rasters: Mapping[str, str | os.PathLike[str]] | Sequence[str | os.PathLike[str]]
) -> dict[str, str | os.PathLike[str]]:
    """Files by unique names."""
    if isinstance(rasters, Mapping):
        named = dict(rasters)
    else:
        named = {Path(file).stem: file for file in rasters}
        if len(named) < len(rasters):
            raise ValueError('TilePool: two rasters have the same file name; give a dict of names and files.')
    if not named:
        raise ValueError('TilePool: rasters must name at least one file.')
    return named
