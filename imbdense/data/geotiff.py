"""Windows of multi-band rasters: aligned to the blocks of the file, with a mask of what holds no data."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.raster.grid import grid_difference, grid_of
from imbdense.utils.files import FileWriteError

Window = tuple[int, int, int, int]
"""(row, column, height, width) in pixels."""


@contextlib.contextmanager
def open_raster(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Yield a rasterio data set; a file that cannot be opened or read is an ``OSError`` that names it."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', NotGeoreferencedWarning)
            with rasterio.open(os.fspath(path)) as source:
                yield source
    except FileWriteError:
        raise  # of another file, written while this one is open
    except (RasterioError, OSError) as error:
        if str(error).startswith(os.fspath(path)) and not isinstance(error, RasterioError):
            raise
        raise OSError(f'{os.fspath(path)}: cannot be read as a raster ({reason_of(error)}). It may be cut off or no '
                      f'TIFF; copy it anew.') from error


def reason_of(error: BaseException) -> str:
    """What GDAL itself said: the innermost cause, for the error around it may say "see previous exception" alone."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error)


def aligned_offsets(length: int, window: int, block: int) -> NDArray[np.int64]:
    """Return the offsets at which a window may start on one axis: every multiple of ``block``, and the last fit.

    A window that starts with a block touches the fewest blocks, and each block is decoded whole. The last offset
    (length - window) is added so that the end of the axis is covered. A window as large as the axis starts at 0.
    """
    last = max(length - window, 0)
    return np.unique(np.append(np.arange(0, last + 1, block), last))


def draw_window(source: Any, size: Sequence[int], rng: np.random.Generator, *, align: bool = True) -> Window:
    """Draw a random window of ``size`` (height, width) in a raster, clipped to it; block-aligned unless told not."""
    corner = []
    for length, extent, block in zip(source.shape, size, source.block_shapes[0]):
        offsets = aligned_offsets(length, extent, block if align else 1)
        corner.append(int(offsets[rng.integers(offsets.size)]))
    height, width = (min(extent, length) for extent, length in zip(size, source.shape))
    return corner[0], corner[1], height, width


def read_window(
    source: Any, window: Window, bands: Sequence[int] | None = None
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read bands of a window.

    Args:
        source: an open raster, see :func:`open_raster`.
        window: must lie inside the raster.
        bands: 1-based band numbers in the wanted order; ``None`` = all. A band that is named is read as values even
            where the file marks it as alpha, as writers do with the near infrared of four-band files of bytes.

    Returns:
        values (height, width, B) in the dtype of the file, and valid (height, width): False where any band is
        nodata (by value, mask or alpha) or not finite.

    Raises:
        ValueError: a window outside the raster or a band that is not there; the message names the file.
    """
    count = source.count if bands is None else len(bands)
    values: NDArray[Any] = np.empty((window[2], window[3], count), source.dtypes[0])
    return values, read_planes(source, window, bands, values.transpose(2, 0, 1))[1]


def read_planes(
    source: Any, window: Window, bands: Sequence[int] | None = None, out: NDArray[Any] | None = None
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read bands of a window as planes: values (B, height, width); all else as :func:`read_window`.

    ``out`` takes the values, in any layout: GDAL writes them where they belong, a fifth of the time of turning the
    axes afterwards.
    """
    from rasterio.enums import ColorInterp, MaskFlags

    row, column, height, width = window
    if row < 0 or column < 0 or row + height > source.height or column + width > source.width:
        raise ValueError(f'{source.name}: window {window} reaches outside the raster, {source.shape}.')
    numbers = list(range(1, source.count + 1)) if bands is None else list(bands)
    missing = [band for band in numbers if not 1 <= band <= source.count]
    if missing:
        raise ValueError(f'{source.name}: bands {missing} are not there; it has the bands 1 to {source.count}.')
    place = ((row, row + height), (column, column + width))
    values = source.read(numbers, window=place, out=out)
    valid = np.ones((height, width), dtype=bool)
    named_alpha = bands is not None and any(source.colorinterp[band - 1] == ColorInterp.alpha for band in numbers)
    if not named_alpha and any(MaskFlags.all_valid not in source.mask_flag_enums[band - 1] for band in numbers):
        valid &= (source.read_masks(numbers, window=place) != 0).all(axis=0)
    if np.issubdtype(values.dtype, np.floating):
        valid &= np.isfinite(values).all(axis=0)
    return values, valid


WARP_LABEL = 'Warp the label with `rio warp LABEL OUT --like IMAGE --resampling nearest`.'


def check_same_grid(image: Any, label: Any, cure: str = WARP_LABEL) -> None:
    """Raise ``ValueError`` naming both files, with ``cure``, unless an image and its label cover the same pixels.

    Sizes must be equal. Coordinate system and geotransform must agree (to a thousandth of a pixel) where both files
    have one; a plain PNG label has none.
    """
    one, two = grid_of(image), grid_of(label)
    if one.crs is None or two.crs is None:
        one, two = replace(one, crs=None), replace(two, crs=None)
    if one.transform.is_identity or two.transform.is_identity:  # no place: the size alone can be compared
        one, two = replace(one, crs=None), replace(two, crs=None, transform=one.transform)
    reason = grid_difference(one, two)
    if reason:
        raise ValueError(f'{image.name} and {label.name} {reason}. {cure}'.rstrip())
