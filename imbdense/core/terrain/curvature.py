"""Second derivatives of an elevation raster (Zevenbergen and Thorne 1987), in 1/m."""

from __future__ import annotations

from typing import Any

import torch

from imbdense.core.terrain.window import Edges, PixelSize, as_elevation, like_input, metres, neighbours

FLAT = 1e-12


def curvatures(z: Any, pixel_size: PixelSize, edges: Edges = 'nodata') -> tuple[Any, Any, Any]:
    """Return (profile, planform, total) curvature of (..., H, W), a tensor or NumPy array, each in 1/m.

    With ``D = ((d + f)/2 - e)/rx²``, ``E = ((b + h)/2 - e)/ry²``, ``F = (c - a + g - i)/(4 rx ry)``,
    ``G = (f - d)/2rx``, ``H = (b - h)/2ry``:

        profile  = -2 (D G² + E H² + F G H) / (G² + H²)     along the steepest slope
        planform =  2 (D H² + E G² - F G H) / (G² + H²)     across it
        total    = -2 (D + E)                               positive on crests

    Profile and planform are 0 where ``G² + H² < 1e-12``. No factor of 100. NaN is "no data". A tile with a halo of one
    pixel gives the values of the whole raster to the bit.
    """
    raster = as_elevation(z)
    rx, ry = metres(pixel_size, raster)
    a, b, c, d, e, f, g, h, i = neighbours(raster, edges)
    along, across = ((d - e) + (f - e)) / (2 * rx**2), ((b - e) + (h - e)) / (2 * ry**2)  # exact differences first
    mixed = ((c - a) + (g - i)) / (4 * rx * ry)
    east, north = (f - d) / (2 * rx), (b - h) / (2 * ry)
    square = east * east + north * north
    flat = square < FLAT
    safe = torch.where(flat, torch.ones_like(square), square)
    twist = mixed * east * north
    profile = -2 * (along * east**2 + across * north**2 + twist) / safe
    planform = 2 * (along * north**2 + across * east**2 - twist) / safe
    zero = torch.zeros_like(square)
    profile, planform = torch.where(flat, zero, profile), torch.where(flat, zero, planform)
    return tuple(like_input(item, z) for item in (profile, planform, -2 * (along + across)))
