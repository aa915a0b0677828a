"""A trained network and what it is to map, opened together: plain files, or the sources of a raster data set."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.config import Config

from imbdense.data.raster.reader import RasterStack
from imbdense.data.raster.source_stack import Stack
from imbdense.mm.predictor import innermost_dataset
from imbdense.mm.raster.network import RasterNetwork
from imbdense.mm.raster.sources import source_stack


def open_rasters(
    config: Config,
    checkpoint: str,
    rasters: Sequence[str],
    *,
    bands: Sequence[int] | None = None,
    align: bool = False,
    tile: int | None = None,
    device: str | None = None,
    amp: bool = False,
) -> tuple[RasterNetwork, Stack]:
    """The probed network and the stack it maps.

    Args:
        rasters: one file per date; none = the sources of the config, where its test data set is a raster data set.
        bands: of plain files; ``None`` = those that the config loads. align: see :class:`RasterStack`.
        tile: to probe with; ``None`` = the network's. config, checkpoint, device, amp: see :class:`RasterNetwork`.

    Raises:
        ValueError, OSError: rasters, bands or tiles that do not fit the model, a file that cannot be read.
    """
    sources = source_stack(innermost_dataset(config), rasters)
    if sources is None and not rasters:
        raise ValueError('name one raster per date; only the config of a raster data set tells its files itself.')
    if sources is not None and bands:
        raise ValueError('--bands is for plain files; the config names the bands of its sources.')
    dates = len(rasters) if sources is None else len(sources.dates)
    network = RasterNetwork(config, checkpoint, dates=dates, device=device, amp=amp, sources=sources)
    stack = sources or RasterStack(rasters, bands or network.bands, align)
    try:
        network.probe(stack.channels, tile or network.tile)
    except ValueError as error:
        numbers = ' '.join(map(str, range(1, len(stack.bands) + 2)))
        hint = f' The last band of {stack.paths[0]} is marked as alpha; if it holds values, name it: --bands {numbers}.'
        raise ValueError(f'{error}{hint if stack.alpha_is_mask else ""}') from error
    return network, stack
