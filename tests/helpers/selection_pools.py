"""Pools of objects for tests of selectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from imbdense.core.selection import ObjectPool

CLASSES = ('road', 'roof', 'tree', 'car', 'mast')


def pool_of(
    features: Any, image: Any = None, klass: Any = None, images: int | None = None, **given: Any
) -> ObjectPool:
    """A pool with these object features; one object per image unless ``image`` says otherwise."""
    features = np.asarray(features, dtype=np.float32)
    features = features[:, None] if features.ndim == 1 else features
    count = len(features)
    image = np.arange(count) if image is None else np.asarray(image)
    images = (int(image.max()) + 1 if count else 0) if images is None else images
    return ObjectPool(
        CLASSES, [f'image{i:05d}' for i in range(images)], image.astype(np.int64),
        np.zeros(count, np.int32) if klass is None else np.asarray(klass, dtype=np.int32), np.ones(count, np.float32),
        np.tile(np.array([0, 0, 4, 4], np.float32), (count, 1)), np.full(count, 16, np.float32), features, **given)


def random_pool(seed: int = 0, images: int = 40, objects: int = 160, dim: int = 6, **given: Any) -> ObjectPool:
    """Objects of five classes with a long tail around class means, and image features."""
    rng = np.random.default_rng(seed)
    klass = rng.choice(5, objects, p=[0.6, 0.25, 0.1, 0.04, 0.01])
    features = rng.normal(scale=2, size=(5, dim))[klass] + rng.normal(size=(objects, dim))
    image = np.sort(rng.integers(images, size=objects)) if images else np.empty(0, np.int64)
    given.setdefault('img_feat', rng.normal(size=(images, 7)).astype(np.float32))
    return pool_of(features, image, klass, images, **given)
