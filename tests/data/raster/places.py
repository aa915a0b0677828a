"""Small rasters of a made-up place for the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CRS = 'EPSG:32633'
ORIGIN = (400000.0, 5200000.0)


def write(path: Path, bands: NDArray[Any], *, pixel: float = 2.0, nodata: float | None = None, crs: str | None = CRS,
          offset: tuple[float, float] = (0.0, 0.0), rotation: float = 0.0, names: tuple[str, ...] = ()) -> str:
    """Write ``bands`` (B, H, W) or (H, W); ``offset`` in pixels to the east and south."""
    import rasterio
    from rasterio import Affine

    planes = bands if bands.ndim == 3 else bands[None]
    transform = Affine(pixel, rotation, ORIGIN[0] + offset[0] * pixel, rotation, -pixel, ORIGIN[1] - offset[1] * pixel)
    with rasterio.open(path, 'w', driver='GTiff', count=len(planes), height=planes.shape[1], width=planes.shape[2],
                       dtype=planes.dtype.name, crs=crs, transform=transform, nodata=nodata, tiled=True, blockxsize=64,
                       blockysize=64, photometric='RGB' if len(planes) > 2 else 'MINISBLACK', alpha='NO') as target:
        target.write(planes)
        for number, name in enumerate(names, start=1):
            target.set_band_description(number, name)
    return str(path)


def place(folder: Path, height: int = 120, width: int = 160, seed: int = 0) -> dict[str, str]:
    """RGB + NIR (uint8), a surface and a terrain model (float32, nodata -9999 in a hole), labels of 4 classes (0 is
    none, 1 to 4, the last one rare) and a second date in which a square has changed."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:height, :width]
    label = (1 + (row // 30 + column // 40) % 3).astype(np.uint8)
    label[10:14, 20:24] = 4
    image = (40 * label[None] + rng.integers(0, 30, (4, height, width))).astype(np.uint8)
    ground = (500 + 0.5 * column + 5 * np.sin(row / 9)).astype(np.float32)
    surface = (ground + 3 * (label == 2)).astype(np.float32)
    surface[60:70, 100:115] = -9999
    second = label.copy()
    second[80:100, 30:50] = 1 + second[80:100, 30:50] % 3
    label[:4] = 0
    later = (40 * second[None] + rng.integers(0, 30, (4, height, width))).astype(np.uint8)
    names = ('red', 'green', 'blue', 'nir')
    return {
        't1': write(folder / 't1.tif', image, names=names), 't2': write(folder / 't2.tif', later, names=names),
        'dsm': write(folder / 'dsm.tif', surface, nodata=-9999), 'dtm': write(folder / 'dtm.tif', ground, nodata=-9999),
        'label': write(folder / 'label.tif', label), 'label2': write(folder / 'label2.tif', second),
    }


LUT = {1: 0, 2: 1, 3: 2, 4: 3}
CLASSES = ('a', 'b', 'c', 'rare')


def sources(files: dict[str, str], date: str = 't1') -> list[dict[str, Any]]:
    """Image, height above ground, and derivatives of the terrain."""
    return [
        {'key': 'img', 'path': files[date], 'kind': 'image'},
        {'key': 'dsm', 'path': files['dsm'], 'kind': 'elevation', 'as_input': False},
        {'key': 'dtm', 'path': files['dtm'], 'kind': 'elevation', 'derive': ['slope', 'aspect_sincos', 'tpi@5']},
        {'key': 'ndsm', 'expr': 'dsm - dtm', 'clip': (-1, 60)},
    ]
