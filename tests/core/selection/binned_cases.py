"""Pools for the tests of clusters and bins."""

from __future__ import annotations

import numpy as np

from imbdense.core.selection import ObjectPool


def tile_pool(
    features: np.ndarray,
    classes: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    images: np.ndarray | None = None,
) -> ObjectPool:
    """One object per image (or as ``images`` says), of class 0 unless given."""
    rows = len(features)
    images = np.arange(rows) if images is None else np.asarray(images)
    classes = np.zeros(rows) if classes is None else np.asarray(classes)
    number = int(images.max(initial=-1)) + 1
    return ObjectPool(
        [f'class {c}' for c in range(int(classes.max(initial=0)) + 1)], [f'tile {i}' for i in range(number)],
        images.astype(np.int64), classes.astype(np.int32), np.ones(rows, np.float32), np.zeros((rows, 4), np.float32),
        np.ones(rows, np.float32), np.asarray(features, np.float32),
        img_group=None if groups is None else np.asarray(groups, np.int64),
    )


def satellites(seed: int, dim: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """3200 points of a dense core (sigma 1), 800 of six satellites (sigma .5) 4 to 8 away; and which is which."""
    rng = np.random.default_rng(seed)
    points, parts = [rng.normal(size=(3200, dim))], [np.zeros(3200, np.int64)]
    for part, size in enumerate((134, 134, 133, 133, 133, 133), start=1):
        direction = rng.normal(size=dim)
        centre = direction / np.linalg.norm(direction) * rng.uniform(4, 8)
        points.append(centre + 0.5 * rng.normal(size=(size, dim)))
        parts.append(np.full(size, part))
    order = rng.permutation(4000)
    return np.concatenate(points)[order], np.concatenate(parts)[order]
