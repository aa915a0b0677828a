"""Small labelled clouds for tests: a street on sloping ground with houses, trees, cars, and a few masts and fences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CLASSES = ('ground', 'building', 'tree', 'car', 'mast', 'fence')
CODES = {2: 'ground', 6: 'building', 5: 'tree', 20: 'car', 21: 'mast', 22: 'fence', 1: -1}
"""Codes of the files -> class; 1 is unclassified."""
CODE_OF = np.array([2, 6, 5, 20, 21, 22])
ORIGIN = np.array([770_000.0, 6_277_000.0, 120.0])
"""Of the scenes: where float32 has half a metre of resolution."""


def ground_at(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """Height of the terrain: a slope of 5 per cent with a bump."""
    return 0.05 * x + 1.5 * np.exp(-((x - 20) ** 2 + (y - 20) ** 2) / 200)


def street(
    seed: int = 0, side: float = 40.0, density: float = 4.0, objects: tuple[int, ...] = (3, 6, 5, 2, 1)
) -> dict[str, NDArray[Any]]:
    """``xyz`` (N, 3) float64, ``rgb`` uint8, ``semantic`` train ids (N,), ``instance`` (N,), -1 = none.

    Args:
        density: ground points per square metre. objects: houses, trees, cars, masts, fences.
    """
    rng = np.random.default_rng(seed)
    parts: list[tuple[NDArray[Any], int, int]] = []
    flat = rng.uniform(0, side, (int(density * side * side), 2))
    parts.append((np.column_stack([flat, ground_at(*flat.T) + rng.normal(0, 0.03, len(flat))]), 0, -1))
    number = 0
    for klass, many in enumerate(objects, start=1):
        for _ in range(many):
            x, y = rng.uniform(4, side - 4, 2)
            shape = _shape(klass, rng, density)
            parts.append((shape + [x, y, ground_at(x, y)], klass, number))
            number += 1
    xyz = np.concatenate([part[0] for part in parts])
    semantic = np.concatenate([np.full(len(part[0]), part[1]) for part in parts])
    instance = np.concatenate([np.full(len(part[0]), part[2]) for part in parts])
    base = np.array([[120, 110, 90], [180, 70, 60], [40, 120, 40], [60, 60, 200], [90, 90, 90], [140, 110, 60]])
    rgb = np.clip(base[semantic] + rng.normal(0, 12, (len(xyz), 3)), 0, 255).astype(np.uint8)
    return {'xyz': xyz + ORIGIN, 'rgb': rgb, 'semantic': semantic.astype(np.int64), 'instance': instance}


def write_scenes(root: Path, train: int = 2, val: int = 1, **options: Any) -> Path:
    """``root/train/*.npz`` and ``root/val/*.npz`` with codes of :data:`CODES`; every 40th point is unclassified."""
    for split, many, first in (('train', train, 0), ('val', val, 100)):
        (root / split).mkdir(parents=True, exist_ok=True)
        for number in range(many):
            scene = street(first + number, **options)
            codes = CODE_OF[scene['semantic']]
            codes[::40] = 1
            np.savez(root / split / f'scene_{number}.npz', xyz=scene['xyz'], rgb=scene['rgb'], semantic=codes,
                     instance=scene['instance'])  # fmt: skip
    return root


def dataset_config(root: Path, split: str = 'train', **options: Any) -> dict[str, Any]:
    """A config of ``imbdense.PointFolderDataset`` on :func:`write_scenes`."""
    return {
        'type': 'imbdense.PointFolderDataset', 'data_root': str(root), 'split': split,
        'metainfo': {'classes': CLASSES}, 'label_map': CODES, **options,
    }  # fmt: skip


def _shape(klass: int, rng: np.random.Generator, density: float) -> NDArray[np.float64]:
    """Points of one object around (0, 0, 0) on its ground."""
    if klass == 1:  # a flat roof and its walls
        length, width, height = rng.uniform(6, 10), rng.uniform(5, 8), rng.uniform(3, 6)
        many = int(density * length * width)
        roof = np.column_stack([rng.uniform(-0.5, 0.5, (many, 2)) * [length, width], np.full(many, height)])
        wall = np.column_stack([
            np.full(many // 3, length / 2), rng.uniform(-0.5, 0.5, many // 3) * width, rng.uniform(0, height, many // 3)
        ])  # fmt: skip
        return np.concatenate([roof, wall])
    if klass == 2:
        many = int(density * 20)
        return rng.normal(0, 1, (many, 3)) * [1.2, 1.2, 0.9] + [0, 0, 4]
    if klass == 3:
        return np.concatenate([rng.uniform(-0.5, 0.5, (int(density * 12), 3)) * [4, 1.8, 1.5] + [0, 0, 0.8]])
    if klass == 4:
        return np.column_stack([rng.normal(0, 0.05, (20, 2)), np.linspace(0.2, 6, 20)])
    return np.column_stack([rng.uniform(-4, 4, 60), rng.normal(0, 0.03, 60), rng.uniform(0.1, 1.2, 60)])
