"""What the loader of a test pipeline does to the values of an image, done to a tile of a raster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RASTER_LOADERS = ('LoadGeoTiffWindow', 'LoadChangePair')
"""Loaders with ``bands``, ``value_range`` and ``nodata_fill``."""
BLUE_FIRST_LOADERS = ('LoadImageFromFile', 'MultiImgLoadImageFromFile', 'LoadChangePair')
"""Loaders that give images of three bands as blue, green, red."""
RESIZERS = ('Resize', 'RandomResize', 'ResizeShortestEdge', 'ResizeToMultiple')


@dataclass(frozen=True)
class TileLoading:
    """Brings raw planes (D * B, T, T) into the value range and band order the loader of a config gives.

    Attributes:
        dates: D. bands: 1-based numbers the loader reads; ``None`` = all. value_range: (low, high) or one pair per
            band, mapped to 0 ... 255. fill: value where there are no data; ``None`` = 0 after normalisation.
        blue_first: images of three bands are turned to blue, green, red. resizes: the pipeline resizes, which a raster
            is not.
    """

    dates: int = 1
    bands: tuple[int, ...] | None = None
    value_range: NDArray[np.float32] | None = None
    fill: float | None = None
    blue_first: bool = False
    resizes: bool = False

    @classmethod
    def of_pipeline(cls, pipeline: Sequence[dict[str, Any]], dates: int) -> TileLoading:
        """Read the loader's options from a pipeline config."""
        names = [str(step['type']).rsplit('.', 1)[-1] for step in pipeline]
        loader, name = next(
            ((step, name) for step, name in zip(pipeline, names) if name in RASTER_LOADERS + BLUE_FIRST_LOADERS),
            ({}, ''),
        )
        bands = loader.get('bands')
        pairs = loader.get('value_range')
        return cls(
            dates=dates,
            bands=None if bands is None else tuple(int(band) for band in bands),
            value_range=None if pairs is None else np.atleast_2d(np.asarray(pairs, np.float32)),
            fill=float(loader.get('nodata_fill', 0.0)) if name in RASTER_LOADERS else None,
            blue_first=name in BLUE_FIRST_LOADERS and bands is None,
            resizes=any(name in RESIZERS for name in names),
        )

    def __call__(self, values: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """The tile as the loader would give it, as float32 planes."""
        count = values.shape[0] // self.dates
        if self.blue_first and count == 3:
            order = [3 * date + band for date in range(self.dates) for band in (2, 1, 0)]
            values = values[order]
        tile = values.astype(np.float32)
        if self.value_range is not None:
            repeats = self.dates if len(self.value_range) > 1 else 1
            low, high = (np.tile(self.value_range[:, side], repeats) for side in (0, 1))
            tile = (tile - low[:, None, None]) * (np.float32(255.0) / (high - low))[:, None, None]
        if not valid.all():
            tile[:, ~valid] = 0.0 if self.fill is None else self.fill
        return tile
