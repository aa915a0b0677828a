"""The sources of a raster data set, date by date, as one stack of bands that is mapped like a plain file."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from imbdense.data.geotiff import open_raster
from imbdense.data.raster.band_stack import BandStack
from imbdense.data.raster.grid import Grid
from imbdense.data.raster.reader import PIECE_COLUMNS, Planes, RasterStack
from imbdense.data.raster.scene import RasterScene
from imbdense.data.raster.sources import Source
from imbdense.data.raster.statistics import BandStatistics


class SourceStack:
    """What :class:`~imbdense.data.raster.reader.RasterStack` is for plain files: several files of a date, formulas and
    terrain derivatives, all on one grid. A window of any size and place holds what the whole raster would.

    Values are float32 in units of the files and NaN where their date has no data; a pixel is valid where every date
    has. Every thread has handles of its own.

    Args:
        dates: the sources of each date. grid: the reference grid.

    Attributes:
        input_bands: of one date, with kinds and roles. bands: their names. paths: all files.

    Raises:
        OSError, GridMismatch, ValueError: see :class:`~imbdense.data.raster.band_stack.BandStack`; or dates of other
            bands.
    """

    align, alpha_is_mask, dtype, types = True, False, np.dtype(np.float32), ('float32',)

    def __init__(self, dates: Sequence[Sequence[Source]], grid: Grid) -> None:
        self.dates, self.grid = [tuple(sources) for sources in dates], grid
        self._local = threading.local()
        scene = RasterScene(grid, self._stacks())
        self.input_bands = scene.bands
        self.bands = [band.name for band in scene.bands]
        self.paths = list(dict.fromkeys(scene.files()))
        with open_raster(self.paths[0]) as first:
            self.block = first.block_shapes[0]
        self.in_strips = self.block[1] >= grid.width > PIECE_COLUMNS
        for row, column in ((0, 0), (grid.height - 1, grid.width - 1)):  # a file that was cut off tells so here
            self.read(row, row + 1, column, column + 1)

    @property
    def channels(self) -> int:
        """Bands of all dates."""
        return len(self.dates) * len(self.bands)

    def read(self, top: int, bottom: int, left: int, right: int) -> Planes:
        """Read rows [top, bottom) and columns [left, right)."""
        parts = [stack.read((top, left, bottom - top, right - left)) for stack in self._stacks()]
        values = [np.where(valid[..., None], part, np.float32(np.nan)).transpose(2, 0, 1) for part, valid in parts]
        return np.concatenate(values), np.logical_and.reduce([valid for _, valid in parts])

    def statistics(self) -> BandStatistics:
        """Those of all valid pixels of this scene, of all dates together."""
        return RasterScene(self.grid, self._stacks()).statistics('', 0, None)

    def close(self) -> None:
        """Let go of the handles of this thread."""
        self._local = threading.local()

    def _stacks(self) -> tuple[BandStack, ...]:
        """The dates, opened by this thread."""
        if not hasattr(self._local, 'stacks'):
            self._local.stacks = tuple(BandStack(sources, self.grid) for sources in self.dates)
        stacks: tuple[BandStack, ...] = self._local.stacks
        return stacks


Stack = RasterStack | SourceStack
"""What a map is made of."""
