"""Small data sets of pairs on disk for the tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

LAND_COVER = ('building', 'soil', 'road', 'water')
SIZE = (24, 32)


def land_covers(seed: int, size: tuple[int, int] = SIZE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(t1, t2, change) of a pair: blocks of classes, some of which change, a few ignored pixels."""
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 4, (size[0] // 4, size[1] // 4)).astype(np.uint8)
    after = np.where(rng.random(cells.shape) < 0.2, rng.integers(0, 4, cells.shape), cells).astype(np.uint8)
    t1, t2 = (np.kron(part, np.ones((4, 4), np.uint8)) for part in (cells, after))
    change = (t1 != t2).astype(np.uint8)
    unknown = rng.random(size) < 0.03
    change[unknown] = t1[unknown] = 255
    return t1, t2, change


def write_array(path: Path, values: np.ndarray) -> Path:
    """An image or label as PNG, JPEG or whatever the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def write_raster(path: Path, values: np.ndarray, **options: Any) -> Path:
    """A GeoTIFF of (H, W, B)."""
    import rasterio
    from rasterio.transform import from_origin

    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        'driver': 'GTiff', 'height': values.shape[0], 'width': values.shape[1], 'count': values.shape[2],
        'dtype': values.dtype, 'crs': 'EPSG:32651', 'transform': from_origin(1000, 2000, 10, 10), **options,
    }  # fmt: skip
    with rasterio.open(path, 'w', **profile) as target:
        target.write(values.transpose(2, 0, 1))
    return path


def picture(label: np.ndarray, date: int) -> np.ndarray:
    """(H, W, 3) uint8 that shows a land cover, so that images and labels can be compared: red = 40 * class + date."""
    red = np.where(label == 255, 250, 40 * label + date).astype(np.uint8)
    return np.stack([red, np.full_like(red, 7), np.full_like(red, 90 + date)], axis=2)


def write_pairs(root: Path, train: int = 4, val: int = 2, size: tuple[int, int] = SIZE) -> Path:
    """The standard layout with land cover; pairs 000, 001, ... of :func:`land_covers`; split files; dataset.json."""
    names = [f'{number:03d}' for number in range(train + val)]
    for number, name in enumerate(names):
        t1, t2, change = land_covers(number, size)
        write_array(root / f't1/{name}.png', picture(t1, 1))
        write_array(root / f't2/{name}.png', picture(t2, 2))
        write_array(root / f'label_t1/{name}.png', t1)
        write_array(root / f'label_t2/{name}.png', t2)
        write_array(root / f'label_change/{name}.png', change)
    (root / 'splits').mkdir()
    (root / 'splits/train.txt').write_text('\n'.join(names[:train]) + '\n')
    (root / 'splits/val.txt').write_text('\n'.join(names[train:]) + '\n')
    record = {
        'classes': ['unchanged', 'changed'], 'palette': [[0, 0, 0], [255, 255, 255]], 'land_cover': list(LAND_COVER),
        'land_cover_palette': [[i, i, 90] for i in range(4)], 'ignore_index': 255,
    }  # fmt: skip
    (root / 'dataset.json').write_text(json.dumps(record))
    return root
