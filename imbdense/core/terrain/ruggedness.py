"""How a pixel differs from those around it: ruggedness, position index, roughness.

Riley, DeGloria and Elliot, "A terrain ruggedness index", 1999; Wilson et al., "Multiscale terrain analysis", 2007.
Rasters are (..., H, W), tensors or NumPy arrays; NaN is "no data" and gives NaN.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from imbdense.core.checks import check_choice, check_integer
from imbdense.core.terrain.window import Edges, as_elevation, clamped, like_input, neighbours

STEPS_PER_METRE = 2**16
"""Resolution of the running sums: whole numbers add up without rounding, wherever the tile begins."""


def ruggedness(z: Any, method: Literal['riley', 'wilson'] = 'riley', edges: Edges = 'nodata') -> Any:
    """Return the terrain ruggedness index in m: Riley ``sqrt(Σ (z_k - e)²)``, Wilson ``mean |z_k - e|``, k = the eight
    neighbours of e."""
    check_choice('method', method, ('riley', 'wilson'), owner='ruggedness')
    window = neighbours(as_elevation(z), edges)
    steps = [item - window[4] for number, item in enumerate(window) if number != 4]
    if method == 'riley':
        return like_input(torch.sqrt(sum(step * step for step in steps)), z)  # type: ignore[arg-type]
    return like_input(sum(step.abs() for step in steps) / 8, z)  # type: ignore[arg-type]


def roughness(z: Any, edges: Edges = 'nodata') -> Any:
    """Return the largest minus the smallest of the nine values of the window, in m."""
    window = torch.stack(neighbours(as_elevation(z), edges))
    return like_input(window.amax(dim=0) - window.amin(dim=0), z)


def position_index(z: Any, radius: int | None = None, edges: Edges = 'nodata') -> Any:
    """Return the topographic position index in m: positive on crests, negative in hollows.

    ``radius=None``: e minus the mean of its eight neighbours. Else e minus the mean of the square of ``2 radius + 1``
    pixels around it, e included, by an integral image: the cost does not depend on the radius. The sums are whole
    numbers of 2^-16 m, so a tile with a halo of ``radius`` pixels gives the values of the whole raster to the bit; the
    mean is off by at most 2^-17 m.

    With ``edges='nodata'`` a square with a missing value gives NaN, with ``'extrapolate'`` the mean is over what is
    there. Beyond the border the outermost pixels are repeated.

    Raises:
        ValueError: a radius below 1, or elevations beyond ±10 000 km.
    """
    raster = as_elevation(z)
    if radius is None:
        window = neighbours(raster, edges)
        steps = sum(window[4] - item for number, item in enumerate(window) if number != 4)
        return like_input(steps / 8, z)  # type: ignore[arg-type]
    check_integer('radius', radius, low=1, owner='position_index')
    check_choice('edges', edges, ('nodata', 'extrapolate'), owner='position_index')
    padded = clamped(raster, radius)
    absent = torch.isnan(padded)
    holes = bool(absent.any())
    known = torch.where(absent, torch.zeros_like(padded), padded) if holes else padded
    if bool((known.abs() > 1e7).any()):
        raise ValueError('position_index: elevations beyond ±1e7 m; is a nodata value not marked as such?')
    side = 2 * radius + 1
    total = _box_sum(torch.round(known.double() * STEPS_PER_METRE).long(), side).double() / STEPS_PER_METRE
    if not holes:
        return like_input((raster.double() - total / side**2).to(raster.dtype), z)
    count = _box_sum((~absent).long(), side)
    found = raster.double() - total / count.clamp(min=1)  # NaN where the pixel itself is missing
    if edges == 'nodata':
        found = torch.where(count == side * side, found, torch.nan)
    return like_input(found.to(raster.dtype), z)


def _box_sum(values: Tensor, side: int) -> Tensor:
    """Sum over squares of ``side``: int64 (..., H + side - 1, W + side - 1) -> (..., H, W)."""
    for axis in (-2, -1):
        running = torch.cumsum(values, dim=axis)
        length = values.shape[axis] - side + 1
        first = torch.zeros_like(running.narrow(axis, 0, 1))
        before = torch.cat([first, running.narrow(axis, 0, length - 1)], dim=axis)
        values = running.narrow(axis, side - 1, length) - before
    return values
