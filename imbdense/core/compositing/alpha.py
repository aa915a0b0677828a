"""Soft borders: how much of a pasted object covers each pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BELOW_HALF = np.float32(0.4999)


def feathered_alpha(mask: NDArray[np.bool_], width: int) -> NDArray[np.float32]:
    """Return (h, w) float32 alpha in [0, 1] of an object with a border about ``width`` pixels soft on either side.

    The mean of the mask over a square of 2 ``width`` + 1 pixels (outside the crop counts as 0), held at .5 or more on
    the object and below .5 beside it. So alpha >= .5 is exactly the mask, also of objects one pixel thin, and a label
    that follows this rule does not change with ``width``. ``width`` 0 gives the mask itself.

    Args:
        mask: (h, w) bool, h and w > 0.
        width: >= 0.
    """
    if width == 0:
        return mask.astype(np.float32)
    total = _sums(_sums(mask.astype(np.float32), width, 0), width, 1)
    total *= np.float32(1.0 / (2 * width + 1) ** 2)
    return np.where(mask, np.maximum(total, np.float32(0.5)), np.minimum(total, BELOW_HALF))


def _sums(values: NDArray[np.float32], width: int, axis: int) -> NDArray[np.float32]:
    """Sum over 2 width + 1 neighbours along an axis, zero outside."""
    result = values.copy()
    size = values.shape[axis]
    target, source = (result, values) if axis == 0 else (result.T, values.T)
    for step in range(1, min(width, size - 1) + 1):
        target[step:] += source[:-step]
        target[:-step] += source[step:]
    return result
