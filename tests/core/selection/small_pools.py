"""Pools of a few objects, written down by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from imbdense.core.selection import ObjectPool


def small_pool(
    objects: Sequence[tuple[int, int, Any]], images: int, classes: int, scores: Sequence[float] | None = None,
    **more: Any,
) -> ObjectPool:
    """A pool of objects (image, class, feature); numbers become 1-D features, and no two boxes overlap."""
    image = np.array([item[0] for item in objects], dtype=np.int64)
    klass = np.array([item[1] for item in objects], dtype=np.int32)
    features = np.array([np.atleast_1d(item[2]) for item in objects], dtype=np.float32)
    left = 20.0 * np.arange(len(objects), dtype=np.float32)
    box = np.stack([left, 0 * left, left + 10, 0 * left + 10], axis=1)
    score = np.ones(len(objects), np.float32) if scores is None else np.array(scores, dtype=np.float32)
    fields = {'obj_box': box, **more}
    return ObjectPool(
        [f'class {c}' for c in range(classes)], [f'image {i}' for i in range(images)], image, klass, score,
        obj_area=np.full(len(objects), 100, np.float32), obj_feat=features, **fields)
