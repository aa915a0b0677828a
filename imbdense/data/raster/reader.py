"""One or several dates as one stack of bands, read in pieces that start and end with the blocks of the file."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.geotiff import read_planes, reason_of
from imbdense.data.raster.grid import Grid, check_one_grid, grid_of, open_aligned

if TYPE_CHECKING:
    from imbdense.data.raster.source_stack import Stack

PIECE_ROWS, PIECE_COLUMNS = 512, 2048
"""Size of a piece in pixels, rounded to whole blocks."""
CACHE_BYTES = 64 << 20
"""GDAL's block cache while a raster is mapped: blocks are read once, and by default it grows to 5 % of the memory."""

Planes = tuple[NDArray[Any], NDArray[np.bool_]]
"""values (D * B, h, w), date by date, and valid (h, w)."""


def small_cache() -> contextlib.AbstractContextManager[Any]:
    """Keep GDAL's block cache small inside the block; of the whole process, not of this thread alone."""
    import rasterio

    return rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES)  # a number this large is taken as bytes by every version


class RasterStack:
    """The bands of all dates on the grid of the first one.

    A pixel is valid where every band of every date is. Every thread has handles of its own (a GDAL handle must not be
    shared); they are opened when a thread first reads.

    Args:
        paths: one file per date. bands: 1-based numbers in the order of the model, the same for every date; ``None`` =
            all but one that is marked as alpha (a mask). align: resample other dates to the grid of the first instead
            of refusing them.

    Attributes:
        alpha_is_mask: a band was left out that may hold values: writers mark the fourth band of bytes so by default.
        types: the number type of each date.

    Raises:
        OSError: a file that is missing, cut off or no raster. GridMismatch, ValueError: dates that are no pair, a band
            that is not there. Every message names the file.
    """

    def __init__(self, paths: Sequence[str | Path], bands: Sequence[int] | None = None, align: bool = False) -> None:
        self.paths = [str(path) for path in paths]
        self.align = align
        self._local = threading.local()
        self._opened: list[Any] = []
        self._lock = threading.Lock()
        self._grid: Grid | None = None
        with _named(self.paths):
            sources = self._handles()
            self._grid = grid_of(sources[0])
            self.bands = _value_bands(sources[0]) if bands is None else list(bands)
            self.alpha_is_mask = bands is None and len(self.bands) < sources[0].count
            for path, source in zip(self.paths, sources):
                self._check_bands(path, source)
            self.types = tuple(str(np.result_type(*source.dtypes)) for source in sources)
            self.dtype = np.result_type(*self.types)
            self.block = sources[0].block_shapes[0]
            self.read(0, 1, 0, 1)  # a file that was cut off tells so here
            self.read(self.grid.height - 1, self.grid.height, self.grid.width - 1, self.grid.width)

    @property
    def grid(self) -> Grid:
        """The grid of the first date."""
        if self._grid is None:
            raise ValueError('RasterStack: no file was opened.')
        return self._grid

    @property
    def channels(self) -> int:
        """Bands of all dates."""
        return len(self.paths) * len(self.bands)

    @property
    def in_strips(self) -> bool:
        """Whether the first file is stored in rows instead of tiles, so that narrow windows decode whole rows."""
        return self.block[1] >= self.grid.width and self.grid.width > PIECE_COLUMNS

    def read(self, top: int, bottom: int, left: int, right: int) -> Planes:
        """Read rows [top, bottom) and columns [left, right)."""
        parts = []
        for path, source in zip(self.paths, self._handles()):
            with _named([path]):
                parts.append(read_planes(source, (top, left, bottom - top, right - left), self.bands))
        if len(parts) == 1:
            return parts[0]
        values = np.concatenate([part[0] for part in parts], dtype=self.dtype)
        return values, np.logical_and.reduce([part[1] for part in parts])

    def close(self) -> None:
        """Close the handles of all threads; nothing may read any more."""
        with self._lock:
            for handle in reversed(self._opened):
                handle.close()
            self._opened.clear()
        self._local = threading.local()

    def _handles(self) -> list[Any]:
        """The open files of this thread."""
        import rasterio
        from rasterio.errors import NotGeoreferencedWarning

        if not hasattr(self._local, 'handles'):
            handles: list[Any] = []
            for path in self.paths:
                with _named([path]), warnings.catch_warnings():
                    warnings.simplefilter('ignore', NotGeoreferencedWarning)
                    source = rasterio.open(path)
                    kept = [source]
                    if handles and self.align:
                        aligned = open_aligned(source, grid_of(handles[0]))
                        kept += [aligned] if aligned is not source else []
                    handles.append(kept[-1])
                with self._lock:
                    self._opened += kept
            if not self.align:
                check_one_grid(handles)
            self._local.handles = handles
        return self._local.handles

    def _check_bands(self, path: str, source: Any) -> None:
        """Every band is there at this date."""
        missing = [band for band in self.bands if not 1 <= band <= source.count]
        if missing:
            raise ValueError(f'{path} lacks band {", ".join(map(str, missing))}: it has the bands 1 to {source.count}, '
                             f'but {self.bands} are read of every date. Choose others with --bands.')


class RowFeed:
    """Rows of a column range, from top to bottom, each read once and ahead of their use.

    Pieces start and end on multiples of the block size, so that no block is decoded twice.

    Args:
        stack: what is read. top, bottom, left, right: the window.
        threads: readers that work ahead; 0 = read when asked.
    """

    def __init__(self, stack: Stack, top: int, bottom: int, left: int, right: int, threads: int) -> None:
        self.stack, self.left, self.right = stack, left, right
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix='raster') if threads else None
        rows, columns = _piece_size(stack)
        self._column_cuts = _cuts(left, right, columns)
        cuts = _cuts(top, bottom, rows)
        self._todo = deque(pairwise(cuts))
        self._ahead: deque[tuple[int, int, list[Future[Planes]]]] = deque()
        self._rows: deque[tuple[int, int, Planes]] = deque()

    def __enter__(self) -> RowFeed:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def rows(self, start: int, stop: int) -> Planes:
        """Values (channels, stop - start, width) and valid (stop - start, width); later calls start no earlier."""
        while self._rows and self._rows[0][1] <= start:
            self._rows.popleft()
        while not self._rows or self._rows[-1][1] < stop:
            self._rows.append(self._next())
        parts = [
            (values[:, max(start - top, 0) : stop - top], valid[max(start - top, 0) : stop - top])
            for top, bottom, (values, valid) in self._rows
            if top < stop and bottom > start
        ]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([part[0] for part in parts], axis=1), np.concatenate([part[1] for part in parts])

    def _next(self) -> tuple[int, int, Planes]:
        """The next piece of rows, while those after it are being read."""
        if self._pool is None:
            top, bottom = self._todo.popleft()
            return top, bottom, self.stack.read(top, bottom, self.left, self.right)
        pairs = list(pairwise(self._column_cuts))
        while self._todo and len(self._ahead) < 3:
            top, bottom = self._todo.popleft()
            self._ahead.append((top, bottom, [self._pool.submit(self.stack.read, top, bottom, *p) for p in pairs]))
        top, bottom, futures = self._ahead.popleft()
        return top, bottom, _beside([future.result() for future in futures])


def _value_bands(source: Any) -> list[int]:
    """The bands that are not marked as alpha, which is a mask."""
    from rasterio.enums import ColorInterp

    return [band for band, meaning in enumerate(source.colorinterp, 1) if meaning != ColorInterp.alpha]


def _beside(parts: list[Planes]) -> Planes:
    """Pieces of one row of pieces joined."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([part[0] for part in parts], axis=2), np.concatenate([part[1] for part in parts], axis=1)


def _piece_size(stack: Stack) -> tuple[int, int]:
    """Rows and columns of a piece: whole blocks, unless a block is so large that GDAL's cache must serve it."""
    height, width = stack.block
    rows = height * max(1, PIECE_ROWS // height) if height <= 2 * PIECE_ROWS else PIECE_ROWS
    return rows, width * max(1, PIECE_COLUMNS // width)


def _cuts(start: int, stop: int, step: int) -> list[int]:
    """``start``, the multiples of ``step`` between, ``stop``."""
    return [start, *range((start // step + 1) * step, stop, step), stop]


@contextlib.contextmanager
def _named(paths: Sequence[str]) -> Iterator[None]:
    """Errors of GDAL as ``OSError`` that names the file."""
    from rasterio.errors import RasterioError

    try:
        yield
    except (RasterioError, OSError) as error:
        if not isinstance(error, RasterioError) and 'cannot be read as a raster' in str(error):
            raise  # a block inside this one knows the one file
        raise OSError(
            f'{", ".join(paths)}: cannot be read as a raster ({reason_of(error)}). It is missing, cut off or no raster.'
        ) from error
