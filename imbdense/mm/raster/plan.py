"""How a raster is tiled: by halo where the network looks no farther, else by blending."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from imbdense.core.inference.receptive_field import PERIOD, measure_halo
from imbdense.core.inference.tile_axis import TileAxis, blend_axis, halo_axis
from imbdense.data.raster.grid import Grid
from imbdense.mm.raster.network import RasterNetwork

MODES = ('auto', 'halo', 'blend')
CHEAP_HALO = 8
"""Halo mode is chosen where the halo is at most tile / 8: (4/3)² = 1.78 pixels computed per pixel, as in blending."""


@dataclass(frozen=True)
class RasterPlan:
    """Tiles of a raster.

    Attributes:
        mode: 'halo' or 'blend'. tile: side in pixels. overlap: context at each side (halo) or pixels that two tiles
            share (blend). rows, columns: the lattice.
    """

    mode: str
    tile: int
    overlap: int
    rows: TileAxis
    columns: TileAxis

    def facts(self) -> dict[str, Any]:
        """What the pixels depend on."""
        return {'mode': self.mode, 'tile': self.tile, 'overlap': self.overlap}


def make_plan(
    network: RasterNetwork,
    channels: int,
    grid: Grid,
    mode: str = 'auto',
    tile: int | None = None,
    overlap: int | None = None,
) -> RasterPlan:
    """Decide mode and overlap, and lay the tiles.

    ``auto`` measures how far the network looks and takes ``halo`` where that is at most an eighth of the tile.

    Args:
        network: probed. channels: bands of all dates. tile: side; ``None`` = what the config was trained on.
        overlap: see :class:`RasterPlan`; ``None`` = measured (halo), a quarter of the tile (blend).

    Raises:
        ValueError: ``halo`` for a network that looks across the whole tile, or an overlap that does not fit the tile.
    """
    if mode not in MODES:
        raise ValueError(f'mode must be one of {", ".join(MODES)}, but is {mode!r}.')
    tile = network.tile if tile is None else tile
    if mode == 'auto' or (mode == 'halo' and overlap is None):
        most = tile // CHEAP_HALO if mode == 'auto' else None
        halo = measure_halo(network, channels, tile, most=most, device=network.device)
        if halo is None and mode == 'halo':
            raise ValueError(f'the whole of a {tile} x {tile} tile changes the scores in its middle, so no halo makes '
                             f'tiles exact. Use --mode blend, a larger --tile, or name a halo with --overlap.')
        mode = 'blend' if halo is None else 'halo'
        overlap = halo if mode == 'halo' and overlap is None else overlap
    if mode == 'halo':
        halo = int(overlap or 0)
        multiple = PERIOD if tile - 2 * halo >= PERIOD else 1
        axes = (halo_axis(length, tile, halo, multiple) for length in (grid.height, grid.width))
        return RasterPlan(mode, tile, halo, *axes)
    overlap = tile // 4 if overlap is None else overlap
    if not 0 <= overlap < tile:
        raise ValueError(f'--overlap must be in [0, {tile}), the tile, but is {overlap}.')
    axes = (blend_axis(n, tile, tile - overlap) for n in (grid.height, grid.width))
    return RasterPlan(mode, tile, overlap, *axes)
