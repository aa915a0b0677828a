"""Tiles along one axis of a raster: one global lattice, whatever part of the raster is computed when."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from imbdense.core.checks import check_integer

LEAST_WEIGHT = 1e-3
"""Floor of the blending window, so that no pixel is divided by nearly nothing."""


@dataclass(frozen=True)
class TileAxis:
    """Where the tiles of one axis lie and how much each says about each pixel.

    The plane has one axis for rows and one for columns; the weight of a tile at a pixel is the product of both. Tiles
    are numbered from the start of the raster, so that every part of it sees the same tiles with the same weights.

    Attributes:
        length, tile: pixels of the axis and of a tile. A tile reaches beyond an axis that is shorter than it.
        origins: first pixel of each tile, ascending; the last tile is shifted inside.
        spans: (start, stop) of the pixels each tile speaks about; starts and stops ascend.
        weights: (stop - start,) float32 each; the weights of all tiles at a pixel sum to one.
    """

    length: int
    tile: int
    origins: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    weights: tuple[Tensor, ...]

    def touching(self, start: int, stop: int) -> range:
        """Numbers of the tiles that speak about a pixel in [start, stop)."""
        first = bisect.bisect_right([span[1] for span in self.spans], start)
        return range(first, bisect.bisect_left([span[0] for span in self.spans], stop))

    def reach(self, start: int, stop: int) -> tuple[int, int]:
        """[first, last) pixel of the axis that the tiles of :meth:`touching` look at."""
        tiles = self.touching(start, stop)
        return self.origins[tiles[0]], min(self.origins[tiles[-1]] + self.tile, self.length)


def halo_axis(length: int, tile: int, halo: int, multiple: int = 1) -> TileAxis:
    """Tiles of which only the centre counts: ``halo`` pixels at each side are context, but not at the raster's border.

    Every pixel is said by exactly one tile, so nothing is averaged. Equal to one pass over the whole raster when the
    network looks no farther than ``halo`` pixels and ``multiple`` is a multiple of its down-sampling (a last tile
    that is shifted inside lies off that grid unless length - tile is a multiple as well).

    Raises:
        ValueError: the halos leave no centre of at least ``multiple`` pixels.
    """
    check_integer('halo', halo, low=0)
    stride = (tile - 2 * halo) // multiple * multiple
    if stride < 1:
        raise ValueError(f'tile={tile} leaves no centre between two halos of {halo} pixels; take a tile of at least '
                         f'{2 * halo + multiple}, or blend overlapping tiles.')
    origins = _origins(length, tile, stride)
    ends = [origin + tile - halo for origin in origins[:-1]] + [length]
    spans = tuple(zip([0, *ends[:-1]], ends))
    return TileAxis(length, tile, origins, spans, tuple(torch.ones(stop - start) for start, stop in spans))


def blend_axis(length: int, tile: int, stride: int) -> TileAxis:
    """Overlapping tiles, each weighted by w(i) = max(sin²(π (i + ½) / tile), 1e-3), divided by the sum over tiles.

    The window is flat (w = 1) from the middle of the outermost tiles to the border of the raster.

    Raises:
        ValueError: ``stride`` outside [1, tile].
    """
    check_integer('stride', stride, low=1, high=tile)
    origins = _origins(length, tile, stride)
    position = (torch.arange(tile, dtype=torch.float64) + 0.5) / tile
    window = torch.sin(math.pi * position).square().clamp(min=LEAST_WEIGHT)
    windows = [window.clone() for _ in origins]
    windows[0][: tile // 2] = 1.0
    windows[-1][tile // 2 :] = 1.0
    spans = tuple((origin, min(origin + tile, length)) for origin in origins)
    total = torch.zeros(length, dtype=torch.float64)
    for (start, stop), window in zip(spans, windows):
        total[start:stop] += window[: stop - start]
    weights = tuple(
        (window[: stop - start] / total[start:stop]).float() for (start, stop), window in zip(spans, windows)
    )
    return TileAxis(length, tile, origins, spans, weights)


def _origins(length: int, tile: int, stride: int) -> tuple[int, ...]:
    """0, stride, 2 stride, ... and the last place inside; one tile when the axis is no longer than it."""
    check_integer('length', length, low=1)
    check_integer('tile', tile, low=1)
    last = max(length - tile, 0)
    return (*range(0, last, stride), last)
