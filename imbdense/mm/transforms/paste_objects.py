"""Boxes, labels, flags and masks of an mmdet sample after a paste."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.compositing import Canvas


def masks_with_room(results: dict[str, Any], more: int) -> NDArray[np.bool_] | None:
    """Return (n + more, H, W) bool: the sample's n instance masks, then empty ones; ``None`` without masks."""
    masks = results.get('gt_masks')
    if masks is None:
        return None
    bitmaps = masks.to_ndarray()
    stack = np.empty((len(bitmaps) + more, *results['img'].shape[:2]), bool)
    np.not_equal(bitmaps, 0, out=stack[: len(bitmaps)])
    stack[len(bitmaps) :] = False
    return stack


def add_objects(results: dict[str, Any], canvas: Canvas, stack: NDArray[np.bool_] | None) -> None:
    """Write the boxes of ``canvas`` and its pasted objects (not ignored) into the sample, in place.

    Args:
        stack: of :func:`masks_with_room`, whose first masks the canvas has changed.
    """
    old, new = results['gt_bboxes'], [item.klass for item in canvas.pasted]
    results['gt_bboxes'] = type(old)(canvas.boxes) if hasattr(old, 'tensor') else canvas.boxes
    labels = np.asarray(results['gt_bboxes_labels'])
    results['gt_bboxes_labels'] = np.concatenate([labels, np.array(new, labels.dtype)])
    if results.get('gt_ignore_flags') is not None:
        results['gt_ignore_flags'] = np.concatenate([results['gt_ignore_flags'], np.zeros(len(new), bool)])
    if stack is None:
        return
    for mask, item in zip(stack[canvas.given :], canvas.pasted):
        height, width = item.mask.shape
        mask[item.top : item.top + height, item.left : item.left + width] = item.mask
    from mmdet.structures.mask import BitmapMasks

    results['gt_masks'] = BitmapMasks(stack[: len(canvas.boxes)].view(np.uint8), *canvas.shape)
