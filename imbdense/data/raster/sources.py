"""One source of bands on a reference grid: a raster file, opened lazily in every process, or a formula of others."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_choice
from imbdense.data.geotiff import Window, read_planes
from imbdense.data.raster.bands import KINDS, ROLES, Band
from imbdense.data.raster.expression import Expression
from imbdense.data.raster.grid import Grid, GridMismatch, grid_of, open_aligned

CACHE_MEGABYTES = 64
"""GDAL's block cache of each process, unless the environment sets GDAL_CACHEMAX; its own default is 5 % of the memory,
times the number of workers."""
Resampling = Literal['nearest', 'bilinear', 'cubic', 'average', 'mode']


@dataclass(frozen=True)
class Source:
    """What a config says about one source.

    ``key``: name, also in formulas. ``path`` and ``bands`` (1-based; ``None`` = all), or ``expr``, a formula of other
    sources of one band each. ``kind``: 'image', 'elevation' or 'index'. ``roles``: one per band, ``None`` = as the file
    says (colour interpretation, band description). ``resampling``: where the file lies on another grid. ``clip``:
    (low, high) in units of the file. ``derive``: terrain derivatives, see :mod:`imbdense.core.terrain`. ``as_input``:
    whether the bands themselves are inputs; ``False`` = formulas and derivatives only.
    """

    key: str
    path: str | None = None
    bands: tuple[int, ...] | None = None
    kind: str = 'image'
    roles: tuple[str | None, ...] | None = None
    resampling: Resampling = 'bilinear'
    expr: str | None = None
    clip: tuple[float, float] | None = None
    derive: tuple[str, ...] = ()
    as_input: bool = True

    def __post_init__(self) -> None:
        owner = f'source {self.key!r}'
        if not str(self.key).isidentifier():
            raise ValueError(f'{owner}: key must be a plain name (letters, digits, _), formulas use it.')
        if (self.path is None) == (self.expr is None):
            raise ValueError(f'{owner}: give either path or expr.')
        check_choice('kind', self.kind, [kind for kind in KINDS if kind != 'terrain'], owner=owner)
        check_choice('resampling', self.resampling, get_args(Resampling), owner=owner)
        for role in self.roles or ():
            if role is not None:
                check_choice('roles', role, ROLES, owner=owner)
        if self.derive and self.kind != 'elevation':
            raise ValueError(f"{owner}: derive needs kind='elevation', but kind is {self.kind!r}.")
        if self.clip is not None and not (len(self.clip) == 2 and self.clip[0] < self.clip[1]):
            raise ValueError(f'{owner}: clip must be (low, high) with low < high, but is {self.clip}.')

    @classmethod
    def of(cls, value: Source | Mapping[str, Any]) -> Source:
        """Return a source from a config dict; an expr without kind is an 'index'."""
        if isinstance(value, Source):
            return value
        fields: dict[str, Any] = {name: tuple(item) if isinstance(item, list) else item
                                  for name, item in value.items()}
        if fields.get('expr') is not None:
            fields.setdefault('kind', 'index')
        try:
            return cls(**fields)
        except TypeError as error:
            raise ValueError(f'source {value.get("key")!r}: {error}; fields are {", ".join(cls.__annotations__)}.'
                             ) from error

    def formula(self) -> Expression | None:
        """The parsed formula of an ``expr`` source."""
        return None if self.expr is None else Expression(self.expr)


class LazyRaster:
    """A raster on a reference grid. The file is opened when a process first reads it, and again after a fork or after
    pickling: a GDAL handle must not be shared.

    Args:
        path: the file. grid: the reference grid; ``None`` = its own. resampling: where they differ.

    Raises:
        OSError, GridMismatch: when first opened; the message names the file and both grids.
    """

    def __init__(self, path: str | os.PathLike[str], grid: Grid | None = None, resampling: str = 'bilinear') -> None:
        self.path, self.grid, self.resampling = os.fspath(path), grid, resampling
        self._handle: Any = None
        self._owner = -1

    @property
    def handle(self) -> Any:
        """The open raster of this process."""
        if self._handle is None or self._owner != os.getpid():
            source = open_georeferenced(self.path)
            self._handle = source if self.grid is None else open_aligned(source, self.grid, self.resampling)
            self._file, self._owner = source, os.getpid()  # the file must outlive its warped view
        return self._handle

    def read(self, window: Window, bands: Sequence[int] | None = None) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return values (B, h, w) in the number type of the file, and valid (h, w)."""
        import rasterio

        options = {} if 'GDAL_CACHEMAX' in os.environ else {'GDAL_CACHEMAX': CACHE_MEGABYTES}
        with rasterio.Env(**options):
            return read_planes(self.handle, window, self.numbers(bands))

    def numbers(self, bands: Sequence[int] | None) -> list[int]:
        """Band numbers; all but alpha by default."""
        from rasterio.enums import ColorInterp

        if bands is not None:
            return list(bands)
        meanings = self._meanings()
        return [number for number, meaning in enumerate(meanings, start=1) if meaning != ColorInterp.alpha]

    def values(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[np.float32]:
        """Return float32 (B, h, w) with scale and offset of the file applied, NaN where a band has no data."""
        numbers = self.numbers(bands)
        values, valid = self.read(window, numbers)
        source = self._file
        scales, offsets = ([getattr(source, name)[number - 1] for number in numbers] for name in ('scales', 'offsets'))
        planes = values.astype(np.float32)
        if any(scale != 1 for scale in scales) or any(offset != 0 for offset in offsets):
            planes = (values.astype(np.float64) * np.reshape(scales, (-1, 1, 1))
                      + np.reshape(offsets, (-1, 1, 1))).astype(np.float32)
        planes[:, ~valid] = np.nan
        return planes

    def roles(self, bands: Sequence[int] | None) -> list[str | None]:
        """The role of each band as the file tells it: by description, else by colour interpretation."""
        self.handle  # noqa: B018 - opens the file
        found: list[str | None] = []
        for number in self.numbers(bands):
            text = (self._file.descriptions[number - 1] or '').lower()
            name = self._file.colorinterp[number - 1].name
            found.append(text if text in ROLES[:4] else name if name in ROLES[:3] else None)
        return found

    def _meanings(self) -> tuple[Any, ...]:
        """Colour interpretation of the bands of the file (a warped view may have an alpha band more)."""
        self.handle  # noqa: B018 - opens the file
        return tuple(self._file.colorinterp)

    def __getstate__(self) -> dict[str, Any]:
        """Without the handle."""
        return {'path': self.path, 'grid': self.grid, 'resampling': self.resampling}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(state['path'], state['grid'], state['resampling'])  # type: ignore[misc]


def open_georeferenced(path: str) -> Any:
    """Open a raster that must have a coordinate system and a grid that is not rotated.

    Raises:
        OSError: missing, cut off or no raster. GridMismatch: no coordinate system, or a rotated grid.
    """
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', NotGeoreferencedWarning)
            source = rasterio.open(path)
    except RasterioError as error:
        raise OSError(f'{path}: cannot be read as a raster ({error}). It is missing, cut off or no raster.') from error
    profile = f'{path}: {source.height} x {source.width}, {source.crs}, geotransform {tuple(source.transform)[:6]}'
    if source.crs is None:
        raise GridMismatch(f'{profile} has no coordinate system; set it with `rio edit-info --crs EPSG:... FILE`.')
    if abs(source.transform.b) > 1e-9 or abs(source.transform.d) > 1e-9:
        raise GridMismatch(f'{profile} is rotated; warp it beforehand (`rio warp`).')
    return source


def reference_grid(path: str, resolution: float | None = None) -> Grid:
    """Return the grid of a raster, or its extent in pixels of ``resolution`` (units of its coordinate system)."""
    with open_georeferenced(path) as source:
        grid = grid_of(source)
    if resolution is None:
        return grid
    from rasterio import Affine

    width = max(round(grid.width * abs(grid.transform.a) / resolution), 1)
    height = max(round(grid.height * abs(grid.transform.e) / resolution), 1)
    transform = Affine(resolution, 0, grid.transform.c, 0, -resolution if grid.transform.e < 0 else resolution,
                       grid.transform.f)
    return Grid(grid.crs, transform, height, width)


def grid_of_sources(sources: Sequence[Source], config: Mapping[str, Any], owner: str) -> Grid:
    """Return the grid of ``config['like']``, the key of a file (default: the first), in pixels of ``config['res']``.

    Raises:
        ValueError: other entries, or no such file.
    """
    files = {source.key: source for source in sources if source.path is not None}
    like = config.get('like', next(iter(files), None))
    if like not in files or set(config) - {'like', 'res'}:
        raise ValueError(f'{owner}: grid must be dict(like=<key of a file>, res=...), like one of {list(files)}, but '
                         f'is {dict(config)}.')
    return reference_grid(str(files[like].path), config.get('res'))


def source_bands(source: Source, raster: LazyRaster | None) -> tuple[Band, ...]:
    """Return the bands of a source itself, without its derivatives.

    Raises:
        ValueError: another number of roles than bands.
    """
    if raster is None:
        return (Band(source.key, source.kind, None),)
    numbers = raster.numbers(source.bands)
    roles: Sequence[str | None] = raster.roles(source.bands) if source.roles is None else source.roles
    if source.roles is None and source.kind != 'image':
        roles = [None] * len(numbers)
    if len(roles) != len(numbers):
        raise ValueError(f'source {source.key!r}: {len(roles)} roles for {len(numbers)} bands.')
    names = [source.key] if len(numbers) == 1 else [f'{source.key}_{number}' for number in numbers]
    return tuple(Band(name, source.kind, role) for name, role in zip(names, roles))
