"""First derivatives of an elevation raster: slope, aspect, orientation, hillshade.

Horn, "Hill shading and the reflectance map", Proc. IEEE 1981; Zevenbergen and Thorne, "Quantitative analysis of land
surface topography", 1987. Rasters are (..., H, W), tensors or NumPy arrays, row 0 in the north; NaN is "no data" and
gives NaN. State: none; the results of a tile with a halo of one pixel equal those of the whole raster to the bit.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor

from imbdense.core.checks import check_choice, check_number
from imbdense.core.terrain.window import Edges, PixelSize, as_elevation, like_input, metres, neighbours

Method = Literal['horn', 'zevenbergen_thorne']
FLAT = 1e-6
"""Gradients below this have no direction."""


def gradient(z: Any, pixel_size: PixelSize, method: Method = 'horn', edges: Edges = 'nodata') -> tuple[Any, Any]:
    """Return (dx, dy): rise per metre to the east, and to the *south*.

    Horn: ``dx = ((c + 2f + i) - (a + 2d + g)) / 8rx``, ``dy = ((g + 2h + i) - (a + 2b + c)) / 8ry``. Zevenbergen–
    Thorne: ``(f - d) / 2rx``, ``(h - b) / 2ry``, sharper and noisier.

    Args:
        z: elevation in metres. pixel_size: (rx, ry) in metres. method: see above. edges: of pixels with a neighbour
            that has no data, see :func:`~imbdense.core.terrain.window.neighbours`.
    """
    dx, dy = _gradient(as_elevation(z), pixel_size, method, edges)
    return like_input(dx, z), like_input(dy, z)


def slope(z: Any, pixel_size: PixelSize, method: Method = 'horn', edges: Edges = 'nodata') -> Any:
    """Return the slope in degrees, ``atan(sqrt(dx² + dy²))``, in [0, 90)."""
    dx, dy = _gradient(as_elevation(z), pixel_size, method, edges)
    return like_input(torch.rad2deg(torch.atan(torch.hypot(dx, dy))), z)


def aspect(z: Any, pixel_size: PixelSize, method: Method = 'horn', edges: Edges = 'nodata') -> Any:
    """Return the compass direction downhill in degrees, [0, 360), 0 = north, 90 = east; NaN where it is flat.

    ``θ = atan2(dy, -dx)``, ``90 - θ`` where θ ≤ 90, else ``450 - θ``. Both sides of north are far apart in these
    numbers: do not resample them and do not feed them to a network, use :func:`orientation`.
    """
    dx, dy = _gradient(as_elevation(z), pixel_size, method, edges)
    theta = torch.rad2deg(torch.atan2(dy, -dx))
    azimuth = torch.where(theta <= 90, 90 - theta, 450 - theta)
    azimuth = torch.where(azimuth >= 360, azimuth - 360, azimuth)
    return like_input(torch.where((dx == 0) & (dy == 0), torch.nan, azimuth), z)


def orientation(z: Any, pixel_size: PixelSize, method: Method = 'horn', edges: Edges = 'nodata') -> tuple[Any, Any]:
    """Return (eastness, northness) of the direction downhill, sine and cosine of the aspect, in [-1, 1].

    ``-dx / |∇|`` and ``dy / |∇|``; both 0 where ``|∇| < 1e-6``.
    """
    dx, dy = _gradient(as_elevation(z), pixel_size, method, edges)
    length = torch.hypot(dx, dy)
    flat = length < FLAT
    safe = torch.where(flat, torch.ones_like(length), length)
    zero = torch.zeros_like(length)
    return (like_input(torch.where(flat, zero, -dx / safe), z), like_input(torch.where(flat, zero, dy / safe), z))


def hillshade(z: Any, pixel_size: PixelSize, azimuth: float = 315.0, altitude: float = 45.0, method: Method = 'horn',
              edges: Edges = 'nodata') -> Any:
    """Return ``max(0, n·l)`` in [0, 1] for light from compass direction ``azimuth`` and ``altitude`` above the horizon.

    ``n = (-dx, dy, 1) / sqrt(1 + |∇|²)`` in (east, north, up). gdaldem writes ``1 + 254 n·l``.
    """
    check_number('altitude', altitude, low=0, high=90, owner='hillshade')
    dx, dy = _gradient(as_elevation(z), pixel_size, method, edges)
    a, h = math.radians(check_number('azimuth', azimuth, owner='hillshade')), math.radians(altitude)
    east, north, up = math.sin(a) * math.cos(h), math.cos(a) * math.cos(h), math.sin(h)
    shade = (up - dx * east + dy * north) / torch.sqrt(1 + dx * dx + dy * dy)
    return like_input(shade.clamp(min=0), z)


def _gradient(z: Tensor, pixel_size: PixelSize, method: Method, edges: Edges) -> tuple[Tensor, Tensor]:
    """(dx, dy) of a tensor."""
    check_choice('method', method, ('horn', 'zevenbergen_thorne'), owner='gradient')
    rx, ry = metres(pixel_size, z)
    a, b, c, d, _, f, g, h, i = neighbours(z, edges)
    if method == 'zevenbergen_thorne':
        return (f - d) / (2 * rx), (h - b) / (2 * ry)
    # differences first: those of neighbouring heights are exact in float32, sums of heights are not
    return ((c - a) + 2 * (f - d) + (i - g)) / (8 * rx), ((g - a) + 2 * (h - b) + (i - c)) / (8 * ry)
