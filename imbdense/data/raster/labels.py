"""Class labels of a raster on the reference grid: nearest pixel, nodata ignored, values looked up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.geotiff import Window, open_raster
from imbdense.data.raster.grid import Grid
from imbdense.data.raster.sources import LazyRaster

IGNORE = 255


class LabelRaster:
    """One band of class indices.

    A label file on another grid is sampled at the nearest pixel; where its pixels are less than half as wide as the
    grid's, the most frequent class under the pixel is taken. Classes are never mixed.

    Args:
        path: the file. grid: the reference grid. num_classes: of the training classes.
        nodata: value without a label, besides the file's own nodata and 255; ``None`` = no other.
        lut: value of the file -> class (255 = ignored); ``None`` = values are classes.

    Raises:
        ValueError: more than one band; when read, a value that is no class. The message names the file.
    """

    def __init__(self, path: str, grid: Grid, num_classes: int, nodata: int | None = None,
                 lut: Mapping[int, int] | None = None) -> None:
        self.num_classes, self.nodata = num_classes, nodata
        self.lut = None if lut is None else {int(value): int(klass) for value, klass in lut.items()}
        with open_raster(path) as source:
            if source.count != 1:
                raise ValueError(f'{path}: a label needs one band of class indices, but it has {source.count}.')
            finer = abs(source.transform.a) * 2 < abs(grid.transform.a) and source.crs == grid.crs
        self.raster = LazyRaster(path, grid, 'mode' if finer else 'nearest')

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return classes uint8 (h, w), 255 where there is no label."""
        values, valid = self.raster.read(window, [1])
        raw = values[0]
        known = valid & (raw != IGNORE)
        if self.nodata is not None:
            known &= raw != self.nodata
        label = np.full(raw.shape, IGNORE, np.uint8)
        present = np.unique(raw[known])
        for value in present.tolist():
            klass = value if self.lut is None else self.lut.get(int(value))
            if klass is None or (klass != IGNORE and not (0 <= klass < self.num_classes and klass == int(klass))):
                raise ValueError(f'{self.raster.path}: label value {value} is no class; classes are 0 to '
                                 f'{self.num_classes - 1}{"" if self.lut is None else f", lut is {self.lut}"}. Give '
                                 f'nodata or lut.')
            label[known & (raw == value)] = int(klass)
        return label

    def describe(self) -> dict[str, Any]:
        """What decides about the classes, for a cache key."""
        return {'path': self.raster.path, 'nodata': self.nodata,
                'lut': None if self.lut is None else sorted(self.lut.items()), 'classes': self.num_classes}
