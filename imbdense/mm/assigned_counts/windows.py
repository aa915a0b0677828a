"""Which anchors of a grid can overlap a box by some IoU: a handful of windows instead of all anchors x all boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SLACK = 1e-3
"""Windows are widened by this part of a stride, far more than float32 anchors are off."""


@dataclass(frozen=True)
class AnchorGrid:
    """Anchors of several levels, ordered as mmdet's ``AnchorGenerator`` does: level, row, column, base anchor.

    Attributes:
        base: per level (A, 4) float64, the anchors of the cell in the corner.
        strides: per level (x, y).
        sizes: per level (height, width) of the feature map.
    """

    base: Sequence[NDArray[np.float64]]
    strides: Sequence[tuple[int, int]]
    sizes: Sequence[tuple[int, int]]

    @property
    def total(self) -> int:
        """Number of anchors."""
        return sum(len(base) * height * width for base, (height, width) in zip(self.base, self.sizes))

    def pairs(self, boxes: NDArray[np.float64], iou: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (anchor index, box index) of at least all pairs whose IoU reaches ``iou``.

        IoU >= t needs an intersection of t * max(areas), so an overlap in x of at least
        ``t * max(areas) / min(heights)``; the shifts that leave so much are an interval, and likewise in y.

        Args:
            boxes: (n, 4) x1, y1, x2, y2.
            iou: t > 0.
        """
        anchors, owners, offset = [], [], 0
        for base, stride, (height, width) in zip(self.base, self.strides, self.sizes):
            first_x, last_x = _interval(base, boxes, iou, 0, stride[0], width)
            first_y, last_y = _interval(base, boxes, iou, 1, stride[1], height)
            columns, rows = np.maximum(last_x - first_x + 1, 0), np.maximum(last_y - first_y + 1, 0)
            counts = (columns * rows).ravel()
            combination = np.repeat(np.arange(counts.size), counts)
            inside = np.arange(combination.size) - np.repeat(np.cumsum(counts) - counts, counts)
            row, column = np.divmod(inside, np.maximum(columns.ravel()[combination], 1))
            cell = (first_y.ravel()[combination] + row) * width + first_x.ravel()[combination] + column
            anchors.append(offset + cell * len(base) + combination // len(boxes))
            owners.append(combination % len(boxes))
            offset += len(base) * height * width
        return np.concatenate(anchors), np.concatenate(owners)


def _interval(
    base: NDArray[np.float64], boxes: NDArray[np.float64], iou: float, axis: int, stride: int, cells: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last cell (A, n) along one axis where base anchor a can reach ``iou`` with box n."""
    low, high = base[:, axis, None], base[:, axis + 2, None]
    start, end = boxes[None, :, axis], boxes[None, :, axis + 2]
    across = 1 - axis
    other = np.minimum(
        (base[:, across + 2] - base[:, across])[:, None], (boxes[:, across + 2] - boxes[:, across])[None]
    )
    needed = iou * np.maximum(_areas(base)[:, None], _areas(boxes)[None]) / np.maximum(other, 1e-9)
    impossible = (needed > np.minimum(high - low, end - start) * (1 + 1e-6)) | (other <= 0)
    first = np.ceil((start + needed - high) / stride - SLACK)
    last = np.floor((end - needed - low) / stride + SLACK)
    first, last = np.clip(first, 0, cells), np.clip(last, -1, cells - 1)
    last = np.where(impossible, -1, last)
    return first.astype(np.int64), last.astype(np.int64)


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Areas of (n, 4) boxes."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
