"""The 3 x 3 window around every pixel of a raster, with borders and missing neighbours taken care of."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from imbdense.core.checks import check_choice

Edges = Literal['nodata', 'extrapolate']
PixelSize = tuple[Any, Any]
"""(rx, ry) in metres, both > 0: numbers, or one value per row (H,), as rasters in degrees need."""
_OPPOSITE = (8, 7, 6, 5, 4, 3, 2, 1, 0)


def as_elevation(z: Any) -> Tensor:
    """Return an elevation raster (..., H, W), tensor or array, as a floating tensor; whole numbers become float32.

    Raises:
        ValueError: fewer than two axes, or an axis without pixels.
    """
    raster = z if isinstance(z, Tensor) else torch.from_numpy(np.ascontiguousarray(z))
    if raster.ndim < 2 or 0 in raster.shape[-2:]:
        raise ValueError(f'an elevation raster needs the shape (..., H, W) with pixels, but got {tuple(raster.shape)}.')
    return raster if raster.is_floating_point() else raster.float()


def like_input(result: Tensor, z: Any) -> Any:
    """Return the result as the kind the caller gave: a tensor, or a NumPy array."""
    return result if isinstance(z, Tensor) else result.numpy()


def clamped(z: Tensor, radius: int) -> Tensor:
    """Return ``z`` (..., H, W) with ``radius`` pixels more on every side, the border pixels repeated."""
    rows = torch.arange(-radius, z.shape[-2] + radius, device=z.device).clamp_(0, z.shape[-2] - 1)
    columns = torch.arange(-radius, z.shape[-1] + radius, device=z.device).clamp_(0, z.shape[-1] - 1)
    return z.index_select(-2, rows).index_select(-1, columns)


def neighbours(z: Tensor, edges: Edges = 'nodata') -> tuple[Tensor, ...]:
    """Return a, b, c, d, e, f, g, h, i, each (..., H, W): the window ``a b c / d e f / g h i``, row 0 in the north.

    Beyond the border of the raster its outermost pixels are repeated. NaN is "no data". With ``edges='nodata'`` a
    missing neighbour makes every derivative of the pixel NaN (as gdaldem does); with ``'extrapolate'`` it is taken as
    2e - opposite where the opposite neighbour is there, else as e. A pixel without data has none in the result.
    """
    check_choice('edges', edges, ('nodata', 'extrapolate'), owner='terrain')
    padded = clamped(z, 1)
    height, width = z.shape[-2:]
    window = [padded[..., row:row + height, column:column + width] for row in range(3) for column in range(3)]
    absent = torch.isnan(padded)
    if not bool(absent.any()):
        return tuple(window)
    missing = [absent[..., row:row + height, column:column + width] for row in range(3) for column in range(3)]
    center = window[4]
    filled = []
    for number, item in enumerate(window):
        if edges == 'extrapolate':
            opposite = window[_OPPOSITE[number]]
            guess = torch.where(missing[_OPPOSITE[number]], center, 2 * center - opposite)
            item = torch.where(missing[number], guess, item)
        filled.append(item)
    hole = missing[4] if edges == 'extrapolate' else torch.stack(missing).any(dim=0)
    nothing = torch.full((), torch.nan, dtype=z.dtype, device=z.device)
    return tuple(torch.where(hole, nothing, item) for item in filled)


def metres(pixel_size: PixelSize, z: Tensor) -> tuple[Tensor, Tensor]:
    """Return (rx, ry) as tensors that broadcast over (..., H, W): numbers, or (H, 1).

    Raises:
        ValueError: not two sizes above 0, or one per row of another number of rows.
    """
    if len(pixel_size) != 2:
        raise ValueError(f'pixel_size must be (rx, ry) in metres, but got {pixel_size!r}.')
    sizes = []
    for size in pixel_size:
        value = torch.as_tensor(size, dtype=z.dtype, device=z.device)
        if not bool((value > 0).all()) or value.ndim > 1 or (value.ndim == 1 and len(value) != z.shape[-2]):
            raise ValueError(f'pixel_size must be two numbers above 0 in metres, or one per row ({z.shape[-2]} rows), '
                             f'but got {size!r}. For a raster in degrees: metres per degree at the row.')
        sizes.append(value[:, None] if value.ndim == 1 else value)
    return sizes[0], sizes[1]
