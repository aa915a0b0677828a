"""A detection task with a domain shift: drawn discs, rings and crosses 100 : 10 : 1, and those of another camera.

The target domain is smaller (0.8 times), blurred, noisy and of another colour. Source: ``source/`` with a training set;
target: ``target/`` with an unlabelled training set of the same ratio (its annotations are written too, but no training
reads them) and a validation set with as many objects of every class, so that each AP is equally certain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from imbdense.utils.files import atomic_write_json

CLASSES = ('disc', 'ring', 'cross')
SIZE = 128
RATIO = (100, 10, 1)
SIDES = (16, 32)
"""Least and largest side of an object of the source domain in pixels."""
CLUTTER = 4
"""Squares and triangles per image, which belong to no class."""
TRIES = 100

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Domain:
    """How a camera sees: ``scale`` of the objects, ``blur`` and ``noise`` (sigmas), factors of the colours."""

    scale: float = 1.0
    blur: float = 0.0
    noise: float = 4.0
    cast: tuple[float, float, float] = (1.0, 1.0, 1.0)


SOURCE = Domain()
TARGET = Domain(scale=0.8, blur=1.0, noise=14.0, cast=(0.65, 0.9, 1.15))


def write_shapes(root: Path, seed: int, copies: int = 10, validation: int = 120) -> None:
    """Write both domains below ``root``, with ``copies`` times (100, 10, 1) objects in each training set.

    Five objects an image. Files depend on the arguments alone. A finished folder is left as it is.
    """
    counts = [copies * part for part in RATIO]
    parts = (
        ('source', 'train', SOURCE, counts), ('target', 'train', TARGET, counts),
        ('target', 'val', TARGET, [validation] * 3),
    )  # fmt: skip
    for number, (domain, split, camera, objects) in enumerate(parts):
        target = root / domain / 'annotations' / f'{split}.json'
        if not target.is_file():
            _write_split(root / domain, split, camera, objects, np.random.default_rng([seed, number]))


def _write_split(root: Path, split: str, camera: Domain, counts: Sequence[int], rng: np.random.Generator) -> None:
    """Images, and their annotations last."""
    labels = rng.permutation(np.repeat(np.arange(len(CLASSES)), counts))
    folder = root / 'images' / split
    folder.mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index, own in enumerate(np.array_split(labels, max(1, len(labels) // 5))):
        picture, boxes = draw_scene(rng, own, camera)
        name = f'{index:04d}.png'
        Image.fromarray(picture).save(folder / name)
        images.append({'id': index, 'file_name': name, 'width': SIZE, 'height': SIZE})
        for label, (x1, y1, x2, y2) in zip(own.tolist(), boxes.tolist()):
            annotations.append({
                'id': len(annotations) + 1, 'image_id': index, 'category_id': label + 1, 'iscrowd': 0,
                'bbox': [x1, y1, x2 - x1, y2 - y1], 'area': (x2 - x1) * (y2 - y1),
            })  # fmt: skip
    categories = [{'id': number + 1, 'name': name} for number, name in enumerate(CLASSES)]
    content = {'images': images, 'annotations': annotations, 'categories': categories}
    (root / 'annotations').mkdir(exist_ok=True)
    atomic_write_json(root / 'annotations' / f'{split}.json', content)


def draw_scene(
    rng: np.random.Generator, labels: NDArray[np.int64], camera: Domain
) -> tuple[NDArray[np.uint8], Floats]:
    """One image (SIZE, SIZE, 3) and the boxes (n, 4) of its objects, one for each label."""
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    waves = np.sin(x * rng.uniform(-0.3, 0.3) + y * rng.uniform(-0.3, 0.3) + rng.uniform(0, 6))
    image = rng.uniform(80, 150, 3) + 18 * waves[..., None]
    places = _places(rng, len(labels) + CLUTTER, camera.scale)
    for number, (cx, cy, half) in enumerate(places):
        label = int(labels[number]) if number < len(labels) else len(CLASSES) + number % 2
        colour = image[int(cy), int(cx)] + rng.choice([-1, 1]) * rng.uniform(35, 80) + rng.normal(0, 15, 3)
        image[_shape(label, (x - cx) / half, (y - cy) / half)] = colour
    image = ndimage.gaussian_filter(image, (camera.blur, camera.blur, 0)) * camera.cast
    image = image + rng.normal(0, camera.noise, image.shape)
    own = places[: len(labels)]
    boxes = np.concatenate([own[:, :2] - own[:, 2:], own[:, :2] + own[:, 2:]], axis=1)
    return image.clip(0, 255).astype(np.uint8), boxes


def _places(rng: np.random.Generator, number: int, scale: float) -> Floats:
    """(number, 3) centres and half sides of squares that hardly touch; all are drawn again when one finds no room."""
    while True:
        found = np.zeros((0, 3))
        for _ in range(TRIES * number):
            half = rng.uniform(*SIDES) / 2 * scale
            place = np.array([*rng.uniform(half + 1, SIZE - half - 1, 2), half])
            apart = np.abs(found[:, :2] - place[:2]).max(axis=1) - found[:, 2] - half
            if (apart > -2).all():
                found = np.concatenate([found, place[None]])
            if len(found) == number:
                return found


def _shape(label: int, x: Floats, y: Floats) -> NDArray[np.bool_]:
    """Pixels of disc, ring, cross, square, triangle in the square [-1, 1]^2."""
    radius, inner, outer = np.hypot(x, y), np.minimum(np.abs(x), np.abs(y)), np.maximum(np.abs(x), np.abs(y))
    shapes = (
        radius <= 1, (radius <= 1) & (radius > 0.55), (outer <= 1) & (inner <= 0.33), outer <= 0.9,
        (np.abs(y) <= 0.9) & (np.abs(x) <= (y + 0.9) / 2),
    )  # fmt: skip
    return shapes[label]
