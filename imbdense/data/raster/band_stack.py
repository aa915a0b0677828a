"""All bands of one date on one grid: files, formulas and terrain derivatives, with what is valid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.terrain import derivative_bands, derive, halo_of
from imbdense.data.geotiff import Window
from imbdense.data.raster.bands import Band
from imbdense.data.raster.grid import Grid
from imbdense.data.raster.sources import LazyRaster, Source, source_bands

EQUATOR, FLATTENING = 6378137.0, 1 / 298.257223563
Planes = NDArray[np.float32]


class BandStack:
    """The bands of one date.

    Order: for each source its own bands (unless ``as_input=False``), then its derivatives. A pixel is valid where every
    band is; derivatives of pixels beside a hole are continued over it, and a window of any size and place gives the
    values that the whole raster would give.

    Args:
        sources: at least one. grid: the reference grid.

    Raises:
        ValueError: two sources of one key, a formula of unknown sources or of several bands.
        GridMismatch, OSError: a file that cannot be brought to the grid; the message prints both grids.
    """

    def __init__(self, sources: Sequence[Source], grid: Grid) -> None:
        self.sources, self.grid = tuple(sources), grid
        keys = [source.key for source in sources]
        if not keys or len(set(keys)) < len(keys):
            raise ValueError(f'sources must be at least one, each with a key of its own, but the keys are {keys}.')
        self._by_key = dict(zip(keys, self.sources))
        self._formulas = {source.key: formula for source in sources if (formula := source.formula()) is not None}
        self.rasters = {source.key: LazyRaster(source.path, grid, source.resampling) for source in sources
                        if source.path is not None}
        own = {source.key: source_bands(source, self.rasters.get(source.key)) for source in sources}
        self._check_formulas(own)
        bands: list[Band] = []
        for source in sources:
            bands += own[source.key] if source.as_input else ()
            if source.derive and len(own[source.key]) != 1:
                raise ValueError(f'source {source.key!r}: derive needs one band, but it has {len(own[source.key])}.')
            roles = {'eastness': 'east', 'northness': 'north'}
            bands += [Band(f'{source.key}_{name}', 'terrain', roles.get(name)) for name in
                      derivative_bands(source.derive)]
        if not bands:
            raise ValueError('sources: none of them is an input; leave as_input out for at least one.')
        self.bands = tuple(bands)

    def read(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return values float32 (h, w, B), 0 where invalid, and valid bool (h, w) of a window inside the grid."""
        cache: dict[tuple[str, Window], Planes] = {}
        planes: list[Planes] = []
        for source in self.sources:
            if source.as_input:
                planes.append(self._planes(source.key, window, cache))
            if source.derive:
                planes.append(self._derivatives(source, window, cache))
        stacked = np.concatenate(planes)
        valid: NDArray[np.bool_] = np.asarray(np.isfinite(stacked).all(axis=0))
        stacked[:, ~valid] = 0
        return np.ascontiguousarray(stacked.transpose(1, 2, 0)), valid

    def _planes(self, key: str, window: Window, cache: dict[tuple[str, Window], Planes]) -> Planes:
        """The bands of a source (B, h, w), NaN where there are no data."""
        if (key, window) not in cache:
            source = self._by_key[key]
            if key in self._formulas:
                values = {name: self._planes(name, window, cache) for name in self._formulas[key].names}
                with np.errstate(divide='ignore', invalid='ignore'):
                    found = np.asarray(self._formulas[key](values), np.float32)
                found = np.where(np.isfinite(found), found, np.float32(np.nan))
            else:
                found = self.rasters[key].values(window, source.bands)
            cache[key, window] = found if source.clip is None else np.clip(found, *source.clip).astype(np.float32)
        return cache[key, window]

    def _derivatives(self, source: Source, window: Window, cache: dict[tuple[str, Window], Planes]) -> Planes:
        """Derivatives (B, h, w) of a window, read with the pixels around it that they need."""
        row, column, height, width = window
        reach = halo_of(source.derive)
        top, left = min(reach, row), min(reach, column)
        bottom = min(reach, self.grid.height - row - height)
        right = min(reach, self.grid.width - column - width)
        wide = (row - top, column - left, top + height + bottom, left + width + right)
        size = pixel_metres(self.grid, wide[0], wide[2])
        return derive(self._planes(source.key, wide, cache)[0], source.derive, size, 'extrapolate',
                      (top, bottom, left, right))

    def _check_formulas(self, own: Mapping[str, tuple[Band, ...]]) -> None:
        """Formulas name sources of one band that come before them."""
        known: list[str] = []
        for source in self.sources:
            formula = self._formulas.get(source.key)
            for name in () if formula is None else formula.names:
                if name not in known:
                    raise ValueError(f'source {source.key!r}: expr={source.expr!r} names {name!r}, which is no source '
                                     f'before it; those are {known}.')
                if len(own[name]) != 1:
                    raise ValueError(f'source {source.key!r}: {name!r} in expr={source.expr!r} has {len(own[name])} '
                                     f'bands; formulas take sources of one band.')
            known.append(source.key)


def pixel_metres(grid: Grid, row: int, rows: int) -> tuple[Any, Any]:
    """Return (rx, ry) of pixels in metres: numbers, or one per row from ``row`` for a grid in degrees (WGS 84)."""
    x, y = abs(grid.transform.a), abs(grid.transform.e)
    if not grid.crs.is_geographic:
        unit = float(grid.crs.linear_units_factor[1])
        return x * unit, y * unit
    latitude = np.radians(np.clip(grid.transform.f + grid.transform.e * (row + np.arange(rows) + 0.5), -89.9, 89.9))
    square = FLATTENING * (2 - FLATTENING)
    root = np.sqrt(1 - square * np.sin(latitude) ** 2)
    degree = math.pi / 180
    return x * degree * EQUATOR * np.cos(latitude) / root, y * degree * EQUATOR * (1 - square) / root**3
