"""Finished units of a map on disk: small files that are whole or absent, so that a killed run can go on."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.job_settings import keep_settings
from imbdense.data.raster.layout import BLOCK, Layout, Piece
from imbdense.utils.files import atomic_write_bytes


class UnitStore:
    """A folder with one file per unit and layer. Which units are finished is told by their files.

    A file is written under a temporary name and renamed, so one that is there is whole; processes and machines that
    share the folder need no other word with each other. The settings of the job are kept beside the units, for pixels
    of two models must not meet in one map.

    Args:
        folder: made if needed. layers: their names.
        settings: everything the pixels depend on (JSON). layout: of a new job; an unfinished one keeps its own.

    Raises:
        OtherJob: see there.
    """

    def __init__(
        self, folder: Path, layers: Sequence[str], settings: Mapping[str, Any], layout: Layout
    ) -> None:
        self.folder, self.layers = folder, tuple(layers)
        known = keep_settings(folder, settings, 'map', panel=layout.panel)
        self.layout = Layout(layout.height, layout.width, known['panel'])

    def path(self, layer: str, panel: int, band: int) -> Path:
        """File of a unit."""
        return self.folder / layer / f'{band:05d}_{panel:04d}.tif'

    def pieces(self, layer: str) -> list[Piece]:
        """The files of a layer and their places."""
        units = self.layout.units()
        return [(self.path(layer, panel, band), self.layout.rows(band), self.layout.columns(panel))
                for panel, band in units]

    def unfinished(self, units: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Those of ``units`` (panel, band) that lack a layer."""
        there = {(layer, path.name) for layer in self.layers for path in (self.folder / layer).glob('*.tif')}
        return [
            unit for unit in units if any((layer, self.path(layer, *unit).name) not in there for layer in self.layers)
        ]

    def write(self, panel: int, band: int, layers: Mapping[str, NDArray[Any]], nodata: Mapping[str, int]) -> None:
        """Store the layers (h, w) of a finished unit."""
        for name in self.layers:
            atomic_write_bytes(self.path(name, panel, band), _encoded(layers[name], nodata[name]))

    def remove(self) -> None:
        """Delete the folder, after the map was written."""
        shutil.rmtree(self.folder)


def _encoded(values: NDArray[Any], nodata: int) -> bytes:
    """A small GeoTIFF in memory; fast compression, for it is read once more and then deleted."""
    import warnings

    from rasterio.errors import NotGeoreferencedWarning
    from rasterio.io import MemoryFile

    height, width = values.shape
    with warnings.catch_warnings(), MemoryFile() as memory:
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        with memory.open(
            driver='GTiff', height=height, width=width, count=1, dtype=values.dtype, nodata=nodata, tiled=True,
            blockxsize=BLOCK, blockysize=BLOCK, compress='LZW', sparse_ok=True,
        ) as target:  # fmt: skip
            if not (values == nodata).all():
                target.write(np.ascontiguousarray(values), 1)
        return bytes(memory.getbuffer())
