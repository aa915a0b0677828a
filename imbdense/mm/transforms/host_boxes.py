"""Boxes, labels, ignore flags and instance masks of an mmdet sample, kept together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PER_OBJECT = ('gt_bboxes_labels', 'gt_ignore_flags')
"""Fields with one entry per box."""


def boxes_of(results: dict[str, Any]) -> NDArray[np.float32]:
    """Return ``gt_bboxes`` as (n, 4) pixels x1, y1, x2, y2; (0, 4) when the sample has none.

    Raises:
        ValueError: boxes of another kind (rotated, quadrilateral).
    """
    boxes = results.get('gt_bboxes')
    if boxes is None:
        return np.zeros((0, 4), dtype=np.float32)
    values = boxes.tensor.numpy() if hasattr(boxes, 'tensor') else np.asarray(boxes)
    if values.ndim != 2 or values.shape[1] != 4:
        raise ValueError(f'gt_bboxes must be axis-aligned boxes (n, 4), but are {type(boxes).__name__} {values.shape}.')
    return values.astype(np.float32)


def take_objects(
    results: dict[str, Any], kept: NDArray[np.int64], boxes: NDArray[np.float32], masks: Any = None
) -> None:
    """Replace the objects of a sample by those that were kept, in place.

    Args:
        kept: (m,) old index of each object.
        boxes: (m, 4) its new box; replaced by the tight box of its mask where masks are given.
        masks: (n, H, W) transformed masks of all old objects (1 inside), or ``None``.
    """
    if masks is not None:
        stack = np.asarray(masks)[kept] == 1
        alive = stack.any(axis=(1, 2)) if len(kept) else np.zeros(0, dtype=bool)
        kept, stack = kept[alive], stack[alive]
        boxes = np.array([_tight_box(mask) for mask in stack], dtype=np.float32).reshape(-1, 4)
        _set_masks(results, stack.astype(np.uint8))
    elif results.get('gt_masks') is not None:
        _set_masks(results, np.zeros((0, *results['img'].shape[:2]), dtype=np.uint8))
    old = results['gt_bboxes']
    results['gt_bboxes'] = type(old)(boxes) if hasattr(old, 'tensor') else boxes
    for key in PER_OBJECT:
        if results.get(key) is not None:
            results[key] = np.asarray(results[key])[kept]


def _set_masks(results: dict[str, Any], stack: NDArray[np.uint8]) -> None:
    """Store (m, H, W) bitmaps as the host's mask container."""
    from mmdet.structures.mask import BitmapMasks

    results['gt_masks'] = BitmapMasks(stack, *results['img'].shape[:2])


def _tight_box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 of the true pixels, ends exclusive."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
