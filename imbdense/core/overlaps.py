"""How much boxes, or regions of label maps, cover each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def box_iou(first: ArrayLike, second: ArrayLike, crowd: ArrayLike | None = None) -> Floats:
    """IoU of boxes x1, y1, x2, y2: (n, 4) and (m, 4) give (n, m).

    ``crowd`` bool (m,): for those the intersection over the area of the first box, as in COCO. Boxes without area
    overlap nothing.
    """
    a, b = np.asarray(first, dtype=np.float64).reshape(-1, 4), np.asarray(second, dtype=np.float64).reshape(-1, 4)
    inter = _area(np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:]))
    area_a = _area(a[:, :2], a[:, 2:])[:, None]
    area_b = _area(b[:, :2], b[:, 2:])[None]
    base = area_a + area_b - inter
    if crowd is not None:
        base = np.where(np.asarray(crowd, dtype=bool)[None], area_a, base)
    return np.divide(inter, base, out=np.zeros_like(inter), where=base > 0)


def best_of_overlapping(boxes: ArrayLike, scores: ArrayLike, groups: ArrayLike, threshold: float) -> NDArray[np.bool_]:
    """Greedy suppression inside groups: which boxes no better one of their group overlaps by more than ``threshold``.

    Args:
        boxes: (n, 4) x1, y1, x2, y2. scores: (n,); ties go to the lower index. groups: (n,) integers, for example one
            per image and class.
        threshold: IoU.

    Returns:
        (n,) bool.
    """
    corners, group = np.asarray(boxes).reshape(-1, 4), np.asarray(groups)
    order = np.lexsort((np.arange(len(group)), -np.asarray(scores, dtype=np.float64), group))
    starts = np.flatnonzero(np.diff(group[order])) + 1
    keep = np.ones(len(group), dtype=bool)
    for start, stop in zip(np.r_[0, starts], np.r_[starts, len(group)]):
        if stop - start < 2:
            continue
        own = order[start:stop]
        over = box_iou(corners[own], corners[own]) > threshold
        for place in np.flatnonzero(np.triu(over, 1).any(axis=1)):
            if keep[own[place]]:
                keep[own[place + 1 :][over[place, place + 1 :]]] = False
    return keep


def region_iou(first: ArrayLike, second: ArrayLike) -> Floats:
    """IoU of the regions of two maps of equal shape, in one pass over the pixels.

    Args:
        first, second: integers of any shape; 0 = no region, i + 1 = region i, up to n and m.

    Returns:
        (n, m) in [0, 1]; 0 for an index that has no pixel.

    Raises:
        ValueError: shapes differ, or a negative index.
    """
    a, b = np.asarray(first), np.asarray(second)
    if a.shape != b.shape:
        raise ValueError(f'region_iou: both maps must have one shape, but got {a.shape} and {b.shape}.')
    if a.size == 0:
        return np.zeros((0, 0))
    if a.min() < 0 or b.min() < 0:
        raise ValueError('region_iou: regions count from 1 and 0 is no region, but a map holds a negative value.')
    rows, columns = int(a.max()) + 1, int(b.max()) + 1
    pairs = a.ravel().astype(np.int64) * columns + b.ravel()
    table = np.bincount(pairs, minlength=rows * columns).reshape(rows, columns).astype(np.float64)
    inter = table[1:, 1:]
    base = table[1:].sum(axis=1)[:, None] + table[:, 1:].sum(axis=0)[None] - inter
    return np.divide(inter, base, out=np.zeros_like(inter), where=base > 0)


def _area(low: Floats, high: Floats) -> Floats:
    """Width times height of (..., 2) corners; 0 where they are the wrong way round."""
    extent = np.maximum(high - low, 0)
    return extent[..., 0] * extent[..., 1]
