"""The grid a map is made on, and whether a second date lies on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

GRID_TOLERANCE = 1e-3
"""Pixels by which two grids may differ; more is another grid, which must be resampled."""


@dataclass(frozen=True)
class Grid:
    """Coordinate system (rasterio CRS or ``None``), affine transform and size of a raster in pixels."""

    crs: Any
    transform: Any
    height: int
    width: int


SET_SYSTEM = 'Both need a coordinate system; set it with `rio edit-info --crs EPSG:... FILE`.'


class GridMismatch(ValueError):
    """Two dates that do not cover the same pixels; the message prints both grids and says what to do."""


def grid_of(source: Any) -> Grid:
    """The grid of an open raster."""
    return Grid(source.crs, source.transform, source.height, source.width)


def metric_transform(grid: Grid, row: int = 0, column: int = 0) -> tuple[float, ...] | None:
    """Geotransform (a, b, c, d, e, f) in metres of the part of a grid that starts at (row, column); ``None`` without a
    coordinate system or on a grid in degrees."""
    if grid.crs is None or not grid.crs.is_projected:
        return None
    unit = float(grid.crs.linear_units_factor[1])
    a, b, c, d, e, f = (unit * float(term) for term in tuple(grid.transform)[:6])
    return a, b, c + column * a + row * b, d, e, f + column * d + row * e


def check_one_grid(sources: Sequence[Any]) -> None:
    """Raise :class:`GridMismatch` unless all open rasters lie on the grid of the first.

    The coordinate system and the size must be equal, the geotransform equal to a thousandth of a pixel over the whole
    raster. Rasters without any georeference are compared by size alone.
    """
    first = grid_of(sources[0])
    for source in sources[1:]:
        reason = grid_difference(first, grid_of(source))
        if reason:
            placed = first.crs is not None and source.crs is not None
            cure = '--align resamples every date to the grid of the first while it is read.' if placed else SET_SYSTEM
            raise GridMismatch(
                f'{sources[0].name} and {source.name} {reason}.\n  {_described(sources[0])}\n  {_described(source)}\n'
                f'Pixels of different places must not be compared. {cure}'
            )


def open_aligned(source: Any, grid: Grid, resampling: str = 'bilinear') -> Any:
    """``source`` itself where it lies on ``grid``, else a WarpedVRT that resamples it there.

    What the source does not cover is no data. ``resampling``: a name of ``rasterio.enums.Resampling``.

    Raises:
        GridMismatch: no coordinate system, a rotated grid, or no overlap.
    """
    from rasterio.enums import ColorInterp, Resampling
    from rasterio.vrt import WarpedVRT
    from rasterio.warp import transform_bounds

    own = grid_of(source)
    if not grid_difference(grid, own):
        return source
    if own.crs is None or grid.crs is None:
        raise GridMismatch(f'cannot align {_described(source)}\n  to the reference {_told(grid)}.\n{SET_SYSTEM}')
    if any(abs(term) > 1e-9 for item in (own, grid) for term in (item.transform.b, item.transform.d)):
        raise GridMismatch(f'cannot align {_described(source)}\n  to the reference {_told(grid)}.\nA rotated grid must '
                           f'be warped beforehand (`rio warp`).')
    left, bottom, right, top = transform_bounds(own.crs, grid.crs, *_bounds(own))
    west, south, east, north = _bounds(grid)
    if left >= east or right <= west or bottom >= north or top <= south:
        raise GridMismatch(f'{source.name} does not overlap the first date: it covers {(left, bottom, right, top)}, '
                           f'the first date {(west, south, east, north)} in {grid.crs}.')
    # An alpha band tells where the source has no pixel; without it the outside would read as zeros.
    marked = source.nodata is not None or ColorInterp.alpha in source.colorinterp
    options = {} if marked else {'add_alpha': True}
    return WarpedVRT(source, crs=grid.crs, transform=grid.transform, height=grid.height, width=grid.width,
                     resampling=Resampling[resampling], **options)


def grid_difference(one: Grid, two: Grid) -> str:
    """Why two grids are not one; empty when they are."""
    if (one.height, one.width) != (two.height, two.width):
        return f'differ in size: {one.height} x {one.width} and {two.height} x {two.width} pixels (height x width)'
    if (one.crs is None) != (two.crs is None):
        return f'cannot be compared: coordinate systems {one.crs} and {two.crs}'
    if one.crs != two.crs:
        return f'differ in coordinate system: {one.crs} and {two.crs}'
    inverse = ~one.transform
    for column in (0, one.width):
        for row in (0, one.height):
            place = _apply(inverse, *_apply(two.transform, column, row))
            shift = max(abs(place[0] - column), abs(place[1] - row))
            if shift > GRID_TOLERANCE:
                return f'lie on different grids, up to {shift:.3g} pixels apart'
    return ''


def _bounds(grid: Grid) -> tuple[float, float, float, float]:
    """left, bottom, right, top of a grid that is not rotated."""
    x0, y0 = _apply(grid.transform, 0, 0)
    x1, y1 = _apply(grid.transform, grid.width, grid.height)
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _apply(transform: Any, column: float, row: float) -> tuple[float, float]:
    """A place in pixels under an affine transform (its operator has changed its name)."""
    x = transform.a * column + transform.b * row + transform.c
    return x, transform.d * column + transform.e * row + transform.f


def _described(source: Any) -> str:
    """One line about the grid of a file."""
    return f'{source.name}: {_told(grid_of(source))}'


def _told(grid: Grid) -> str:
    """A grid in one line."""
    return f'{grid.height} x {grid.width}, {grid.crs}, geotransform {tuple(grid.transform)[:6]}'
