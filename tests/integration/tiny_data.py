"""Data sets of a few small images in the layout of the configs, made in milliseconds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 64


def write_segmentation(root: Path, classes: int, *, count: int = 4, size: int = SIZE, suffix: str = '.png') -> Path:
    """``root/{images,labels}/{train,val}``: coloured squares, class = colour; the last class is rare. Returns root."""
    for split in ('train', 'val'):
        for index in range(count):
            generator = np.random.default_rng([index, split == 'val'])
            label = np.zeros((size, size), np.uint8)
            for _ in range(6):
                top, left = generator.integers(0, size - 16, 2)
                label[top: top + 16, left: left + 16] = generator.integers(0, max(1, classes - 1))
            top, left = generator.integers(0, size - 4, 2)
            label[top: top + 3, left: left + 3] = classes - 1
            label[:2] = 255
            write_pair(root, split, f'{index:03d}', label, suffix)
    return root


def write_pair(root: Path, split: str, name: str, label: np.ndarray, suffix: str = '.png') -> None:
    """One label and an image whose grey value tells the class."""
    shade = np.where(label == 255, 0, 40 + label.astype(int) * 20)[..., None]
    noise = np.random.default_rng(0).integers(0, 30, (*label.shape, 3))
    for folder, picture, ending in (('images', (shade + noise).clip(0, 255).astype(np.uint8), suffix),
                                    ('labels', label, '.png')):
        path = root / folder / split / f'{name}{ending}'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)


def write_detection(root: Path, classes: Sequence[str], *, count: int = 4, width: int = 96, height: int = 80) -> Path:
    """``root/images/{train,val}`` and ``root/annotations/{train,val}.json`` (COCO). Returns root."""
    for split in ('train', 'val'):
        images, boxes = [], []
        for index in range(count):
            generator = np.random.default_rng([index, split == 'val'])
            picture = generator.integers(0, 60, (height, width, 3)).astype(np.uint8)
            for number in range(3):
                category = int(number % len(classes))
                left, top = int(generator.integers(0, width - 24)), int(generator.integers(0, height - 24))
                picture[top: top + 20, left: left + 20] = 120 + 30 * category
                boxes.append({'id': len(boxes) + 1, 'image_id': index + 1, 'category_id': category + 1,
                              'bbox': [left, top, 20, 20], 'area': 400, 'iscrowd': 0})
            name = f'{index:03d}.png'
            path = root / 'images' / split / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)
            images.append({'id': index + 1, 'file_name': name, 'width': width, 'height': height})
        target = root / 'annotations' / f'{split}.json'
        target.parent.mkdir(parents=True, exist_ok=True)
        categories = [{'id': number + 1, 'name': name} for number, name in enumerate(classes)]
        target.write_text(json.dumps({'images': images, 'annotations': boxes, 'categories': categories}))
    return root
