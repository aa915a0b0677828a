"""One label map of many scored masks."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

IGNORED = 255


def paste_masks(
    masks: Iterable[tuple[NDArray[np.bool_], int, float]],
    shape: tuple[int, int],
    *,
    background: int = IGNORED,
    margin: float = 0.1,
) -> NDArray[np.uint8]:
    """Paint masks by ascending score, so that the best one is on top.

    Where masks of two classes overlap and the best score of the class on top exceeds the best score of any other class
    there by less than ``margin``, nobody knows which is right: the pixel becomes 255.

    Args:
        masks: (mask (H, W), class in [0, 255), score) in any order; equal scores are painted in the order given.
        shape: (H, W).
        background: of pixels without a mask: the background class, or 255 where the data set has none.
        margin: >= 0; 0 = no conflicts.

    Returns:
        (H, W) uint8.

    Raises:
        ValueError: a mask of another shape, or a class outside [0, 255).
    """
    label = np.full(shape, background, dtype=np.uint8)
    top_class = np.full(shape, -1, dtype=np.int16)
    top, other = np.full(shape, -np.inf), np.full(shape, -np.inf)
    for mask, klass, score in sorted(masks, key=lambda item: item[2]):
        if mask.shape != shape or not 0 <= klass < IGNORED:
            raise ValueError(
                f'paste_masks: masks must have the shape {shape} and classes lie in [0, {IGNORED}), but got a mask of '
                f'shape {mask.shape} and class {klass}.'
            )
        # What lies on top has the best score so far: seen from another class it is the best rival.
        rival = mask & (top_class != klass)
        other[rival] = top[rival]
        top[mask], top_class[mask], label[mask] = score, klass, klass
    with np.errstate(invalid='ignore'):  # -inf - -inf where nothing was painted
        close = top - other < margin - 1e-9
    label[close & (other > -np.inf)] = IGNORED
    return label
