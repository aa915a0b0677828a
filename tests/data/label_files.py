"""Small data sets on disk for the tests of readers, scanner and checks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CLASSES = ('sky', 'road', 'car', 'sign')


def random_label(seed: int, size: tuple[int, int] = (40, 56), classes: int = 4, cell: int = 4) -> np.ndarray:
    """Blocks of random classes, some pixels ignored."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, classes, (size[0] // cell + 1, size[1] // cell + 1)).astype(np.uint8)
    label = np.kron(coarse, np.ones((cell, cell), np.uint8))[: size[0], : size[1]].copy()
    label[rng.random(size) < 0.02] = 255
    return label


def write_label(path: Path, label: np.ndarray, palette: bool = False) -> Path:
    """Write an index PNG (or TIFF by suffix), with a palette if asked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(label)
    if palette:
        image.putpalette(bytes(range(256)) * 3)
    image.save(path)
    return path


def write_image(path: Path, size: tuple[int, int], seed: int = 0) -> Path:
    """Write a random RGB image of (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)).save(path)
    return path


def write_labels(folder: Path, number: int, **options: Any) -> list[Path]:
    """Write ``number`` random labels."""
    return [write_label(folder / f'{i:03d}.png', random_label(i, **options), palette=i % 2 == 1) for i in range(number)]


def write_seg_folder(root: Path, train: int = 4, val: int = 2) -> Path:
    """images/ and labels/ with train/ and val/ below, and classes.txt."""
    for split, number, first in (('train', train, 0), ('val', val, 100)):
        for i in range(first, first + number):
            label = random_label(i)
            write_label(root / 'labels' / split / f'{i:03d}.png', label)
            write_image(root / 'images' / split / f'{i:03d}.png', label.shape, seed=i)
    (root / 'classes.txt').write_text('\n'.join(CLASSES) + '\n')
    return root


def coco_record(**changes: Any) -> dict[str, Any]:
    """Two images, three boxes, two categories."""
    record: dict[str, Any] = {
        'images': [
            {'id': 7, 'file_name': 'a.png', 'width': 100, 'height': 80},
            {'id': 9, 'file_name': 'b.png', 'width': 60, 'height': 50},
        ],
        'annotations': [
            {'id': 1, 'image_id': 7, 'category_id': 3, 'bbox': [10, 10, 20, 30], 'area': 600, 'iscrowd': 0},
            {'id': 2, 'image_id': 7, 'category_id': 8, 'bbox': [0, 0, 5, 5], 'area': 25, 'iscrowd': 0},
            {'id': 3, 'image_id': 9, 'category_id': 3, 'bbox': [1, 2, 3, 4], 'area': 12, 'iscrowd': 1},
        ],
        'categories': [{'id': 8, 'name': 'dog'}, {'id': 3, 'name': 'cat'}],
    }
    return record | changes


def write_coco(path: Path, record: dict[str, Any] | None = None) -> Path:
    """Write a COCO file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(coco_record() if record is None else record))
    return path
