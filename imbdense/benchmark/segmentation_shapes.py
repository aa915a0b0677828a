"""Small pictures of four classes with known class shares, and pools without labels whose rare class is rarer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imbdense.utils.files import atomic_open, atomic_write_json

CLASSES = ('ground', 'pond', 'house', 'silo')
SHARES = (0.55, 0.25, 0.15, 0.05)
"""Pixel shares of the labelled pictures."""
POOLS = {'pool_5': 0.05, 'pool_1': 0.01, 'pool_02': 0.002}
"""Folder of a pool -> pixel share of the rare class there."""
SIZE = 40
COLOURS = np.array([[96, 112, 92], [84, 100, 128], [150, 112, 108], [178, 134, 84]], np.float64)
TINT = 0.4
"""Standard deviation of the tint of each house and silo, in steps from the colour of a house to that of a silo."""
LABELLED = {'train': 400, 'held': 40, 'val': 100}
POOL = 380
DONE = 'shapes.json'


def write_shapes(root: Path) -> Path:
    """``root/{images,labels}/{train,held,val}`` and ``root/images/<pool>``: 40 x 40 pixels, 8 bit, PNG.

    The tints of houses and silos overlap, so that for some the class shares decide, and the light changes from picture
    to picture, so that a few labelled pictures do not tell all. The rare class (silo) has one square of 5 % of the
    picture, in every labelled picture, and in as many of a pool as its share says. Deterministic; written once.
    """
    if (root / DONE).is_file():
        return root
    totals = {}
    for number, (split, count) in enumerate(LABELLED.items()):
        totals[split] = _write(root, split, count, 1.0, number, labels=True)
    for number, (split, share) in enumerate(POOLS.items()):
        totals[split] = _write(root, split, POOL, share / SHARES[-1], 10 + number, labels=False)
    atomic_write_json(root / DONE, {'classes': CLASSES, 'shares': totals})
    return root


def draw_pictures(
    count: int, chance: float, seed: tuple[int, ...]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(pictures (N, 40, 40, 3), labels (N, 40, 40)), of which exactly ``round(chance * count)`` have a silo."""
    with_rare = np.random.default_rng((*seed, 0)).permutation(np.arange(count) < round(chance * count))
    drawn = [draw_picture(np.random.default_rng((*seed, 1, index)), bool(rare)) for index, rare in enumerate(with_rare)]
    return np.stack([picture for picture, _ in drawn]), np.stack([label for _, label in drawn])


def draw_picture(rng: np.random.Generator, rare: bool) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(picture (40, 40, 3), label (40, 40)); ``rare``: with a silo."""
    label = np.zeros((SIZE, SIZE), np.uint8)
    tint = np.zeros((SIZE, SIZE))
    _place(label, 1, _disc(rng.uniform(8.0, 10.4)), rng)
    _place(label, 1, _disc(rng.uniform(5.5, 7.5)), rng)
    houses = [np.ones((height, round(120 / height)), bool) for height in rng.integers(8, 15, 2)]
    for klass, stamp in [(2, house) for house in houses] + ([(3, np.ones((9, 9), bool))] if rare else []):
        before = label.copy()
        _place(label, klass, stamp, rng)
        tint[label != before] = rng.normal(0.0, TINT)
    light = rng.normal(1.0, 0.12) * (1.0 + 0.25 * _smooth(rng, 12.0))
    colour = COLOURS[label] + tint[..., None] * (COLOURS[3] - COLOURS[2])
    picture = colour * light[..., None] + 14.0 * _smooth(rng, 1.2)[..., None]
    picture = picture + rng.normal(0.0, 12.0, picture.shape)
    return picture.clip(0, 255).astype(np.uint8), label


def _place(label: NDArray[np.uint8], klass: int, stamp: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Put a stamp on free ground; after 200 tries without room it is left out."""
    height, width = stamp.shape
    for _ in range(200):
        top, left = int(rng.integers(0, SIZE - height + 1)), int(rng.integers(0, SIZE - width + 1))
        window = label[top : top + height, left : left + width]
        if not window[stamp].any():
            window[stamp] = klass
            return


def _disc(radius: float) -> NDArray[np.bool_]:
    """A disc in its bounding box."""
    reach = int(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return np.asarray(x**2 + y**2 <= radius**2)


def _smooth(rng: np.random.Generator, sigma: float) -> NDArray[np.float64]:
    """(40, 40) smooth noise of mean 0 and standard deviation 1."""
    noise = ndimage.gaussian_filter(rng.normal(size=(SIZE, SIZE)), sigma, mode='wrap')
    return np.asarray((noise - noise.mean()) / noise.std())


def _write(root: Path, split: str, count: int, chance: float, number: int, labels: bool) -> list[float]:
    """One folder; returns its pixel shares."""
    pictures, label = draw_pictures(count, chance, (number,))
    for index in range(count):
        _save(root / 'images' / split / f'{index:04d}.png', pictures[index])
        if labels:
            _save(root / 'labels' / split / f'{index:04d}.png', label[index])
    return [round(float(share), 4) for share in np.bincount(label.ravel(), minlength=len(CLASSES)) / label.size]


def _save(path: Path, array: NDArray[Any]) -> None:
    """A PNG."""
    from PIL import Image

    with atomic_open(path) as handle:
        Image.fromarray(array).save(handle, format='PNG')


if __name__ == '__main__':
    write_shapes(Path(sys.argv[1] if len(sys.argv) > 1 else 'data/segmentation_shapes'))
