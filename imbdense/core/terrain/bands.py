"""Named derivatives of an elevation raster as bands: 'slope', 'aspect_sincos', 'tpi@25', ..."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch

from imbdense.core.terrain.curvature import curvatures
from imbdense.core.terrain.gradient import hillshade, orientation, slope
from imbdense.core.terrain.ruggedness import position_index, roughness, ruggedness
from imbdense.core.terrain.window import Edges, PixelSize, as_elevation, like_input

NAMES = ('slope', 'aspect_sincos', 'tri', 'tri_wilson', 'tpi', 'tpi@r', 'roughness', 'hillshade', 'curvature',
         'profile_curvature', 'planform_curvature')
_RADIUS = re.compile(r'tpi@([1-9]\d*)')


def derivative_bands(names: Sequence[str]) -> tuple[str, ...]:
    """Return the band names that ``names`` give, in order; 'aspect_sincos' gives 'eastness' and 'northness'.

    Raises:
        ValueError: an unknown name. 'aspect' is refused: degrees jump at north.
    """
    bands: list[str] = []
    for name in names:
        if name == 'aspect':
            raise ValueError("derive: 'aspect' in degrees jumps from 360 to 0 at north, which no network and no "
                             "resampling understands; use 'aspect_sincos', its sine and cosine.")
        if name not in NAMES[:5] + NAMES[6:] and _RADIUS.fullmatch(name) is None:
            raise ValueError(f'derive: {name!r} is no derivative; they are {", ".join(NAMES)} (r = radius in pixels).')
        bands += ['eastness', 'northness'] if name == 'aspect_sincos' else [name]
    return tuple(bands)


def halo_of(names: Sequence[str]) -> int:
    """Return how many pixels around a tile its derivatives need: 1, or the largest radius; 0 without names."""
    derivative_bands(names)
    return max([int(match[1]) if (match := _RADIUS.fullmatch(name)) else 1 for name in names], default=0)


def derive(z: Any, names: Sequence[str], pixel_size: PixelSize, edges: Edges = 'nodata',
           halo: tuple[int, int, int, int] = (0, 0, 0, 0)) -> Any:
    """Return the derivatives of one elevation raster (H, W) as bands (B, h, w), in the order of
    :func:`derivative_bands`.

    Args:
        z: elevation in m, tensor or NumPy array; NaN = no data.
        names: see ``NAMES``; slope in degrees, eastness and northness in [-1, 1], curvatures in 1/m, the rest in m.
        pixel_size: (rx, ry) in m, each a number or one per row of ``z``.
        edges: of pixels near missing ones, see :func:`~imbdense.core.terrain.window.neighbours`.
        halo: rows and columns (top, bottom, left, right) of ``z`` that are context only and are cut off. A halo of
            :func:`halo_of` pixels, or of all there are up to the border of the raster, makes the result equal that of
            the whole raster to the bit.
    """
    raster = as_elevation(z)
    if raster.ndim != 2:
        raise ValueError(f'derive: z must be (H, W), but is {tuple(raster.shape)}.')
    derivative_bands(names)
    bands: list[Any] = []
    for name in names:
        match = _RADIUS.fullmatch(name)
        if match is not None:
            bands.append(position_index(raster, int(match[1]), edges))
        elif name == 'aspect_sincos':
            bands += orientation(raster, pixel_size, edges=edges)
        elif name.endswith('curvature'):
            bands.append(dict(zip(('profile_curvature', 'planform_curvature', 'curvature'),
                                  curvatures(raster, pixel_size, edges)))[name])
        else:
            bands.append({'slope': lambda: slope(raster, pixel_size, edges=edges),
                          'tri': lambda: ruggedness(raster, 'riley', edges),
                          'tri_wilson': lambda: ruggedness(raster, 'wilson', edges),
                          'tpi': lambda: position_index(raster, None, edges),
                          'roughness': lambda: roughness(raster, edges),
                          'hillshade': lambda: hillshade(raster, pixel_size, edges=edges)}[name]())
    top, bottom, left, right = halo
    height, width = raster.shape
    stacked = torch.stack(bands) if bands else raster.new_empty((0, height, width))
    return like_input(stacked[:, top:height - bottom, left:width - right], z)
