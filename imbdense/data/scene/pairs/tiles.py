"""Tiles of a pair in the standard layout of pairs: images, change map, land cover per date, all under one name."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene import classes as c
from imbdense.data.scene.export_images import png_bytes

CHANGE_CLASSES = ('unchanged', 'changed')
CHANGE_PALETTE = ((0, 0, 0), (255, 255, 255))
FOLDERS = ('t1', 't2', 'label_change', 'label_t1', 'label_t2')
_OUR_FILES = re.compile(r'pair_\d{3,}_\d{2}_\d{2}\.png')


def write_tiles(scene: Path, root: Path, name: str, tile: int, mapping: c.ClassMapping) -> list[str]:
    """Cut the rasters of the pair in ``scene`` into tiles of ``tile`` pixels; return their names (without suffix)."""
    import rasterio

    names = []
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
        palette = None if folder in ('t1', 't2') else CHANGE_PALETTE if folder == 'label_change' else mapping.palette
        with rasterio.open(scene / f'{folder}.tif') as source:
            bands: NDArray[np.uint8] = source.read([1, 2, 3] if palette is None else [1])
        image = np.ascontiguousarray(bands.transpose(1, 2, 0)) if palette is None else bands[0]
        for row in range(image.shape[0] // tile):
            for column in range(image.shape[1] // tile):
                part = image[row * tile:(row + 1) * tile, column * tile:(column + 1) * tile]
                label = f'{name}_{row:02d}_{column:02d}'
                _replace(root / folder / f'{label}.png', png_bytes(np.ascontiguousarray(part), palette=palette))
                if folder == FOLDERS[0]:
                    names.append(label)
    return names


def prune_tiles(root: Path, kept: Collection[str]) -> None:
    """Remove tiles of an earlier plan and what a killed run left half written; other files are not touched."""
    for folder in FOLDERS:
        for path in (root / folder).iterdir():
            name = path.name.removeprefix('.').removesuffix('.tmp-write')
            if _OUR_FILES.fullmatch(name) and (path.name.startswith('.') or Path(name).stem not in kept):
                path.unlink()


def _replace(target: Path, content: bytes) -> None:
    """Write and rename; ``dataset.json`` is what declares the set complete."""
    temporary = target.with_name(f'.{target.name}.tmp-write')
    temporary.write_bytes(content)
    os.replace(temporary, target)
