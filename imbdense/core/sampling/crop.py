"""Where to crop: windows placed around a pixel of a chosen class.

Random patches centred on foreground are the standard of medical segmentation (nnU-Net: Isensee et al., Nature Methods
2021, a third of the patches of a batch). Here the class is drawn first, inversely to its frequency.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def draw_class(counts: ArrayLike, power: float, rng: np.random.Generator) -> int:
    """Return an index i with probability proportional to counts[i] ** -power (counts > 0; 0 counts as 1).

    ``power`` 0 draws uniformly, 1 inversely to the counts.
    """
    weights = np.maximum(np.asarray(counts, dtype=np.float64), 1.0) ** -power
    edges = np.cumsum(weights)
    return min(int(np.searchsorted(edges, rng.random() * edges[-1], side='right')), edges.size - 1)


def place_window(
    shape: Sequence[int], window: Sequence[int], rng: np.random.Generator, inside: Sequence[int] | None = None
) -> tuple[int, ...]:
    """Return the first corner of a random window within an array, per axis.

    Uniform over all corners where the window lies in the array; with ``inside`` uniform over those that also hold this
    position. An axis on which the array is not larger than the window has corner 0.

    Args:
        shape: array size per axis (2-D images, 3-D volumes, ...).
        window: window size per axis, > 0.
        inside: a position per axis in [0, shape) the window must contain.
    """
    corner = []
    for axis, (size, length) in enumerate(zip(shape, window)):
        low, high = 0, max(size - length, 0)
        if inside is not None:
            low, high = max(low, inside[axis] - length + 1), min(high, inside[axis])
        corner.append(int(rng.integers(low, high + 1)) if high > low else low)
    return tuple(corner)


def map_position(
    position: Sequence[int], source: Sequence[int], target: Sequence[int], flip: str | None = None
) -> tuple[int, int]:
    """Follow a pixel (row, column) through a resize from ``source`` to ``target`` (height, width) and a flip.

    Enlarging copies a pixel to those that nearest-neighbour resizing takes from it, floor(d * source / target) = r
    (the rule of OpenCV); the middle one is returned. Shrinking may lose a pixel; then its next neighbour is returned.
    ``flip`` is ``'horizontal'``, ``'vertical'``, ``'diagonal'`` (both) or ``None``. The result lies inside ``target``.
    """
    row, column = (_resized(p, of, to) for p, of, to in zip(position, source, target))
    if flip in ('vertical', 'diagonal'):
        row = target[0] - 1 - row
    if flip in ('horizontal', 'diagonal'):
        column = target[1] - 1 - column
    return row, column


def _resized(position: int, source: int, target: int) -> int:
    """One axis of :func:`map_position`, in whole numbers."""
    first = -(-int(position) * target // source)
    last = -(-(int(position) + 1) * target // source) - 1
    return min((first + max(first, last)) // 2, target - 1)


def draw_pixel(mask: NDArray[np.bool_], rng: np.random.Generator) -> tuple[int, int] | None:
    """Return (row, column) of a uniformly drawn true pixel of ``mask`` (H, W); ``None`` when there is none."""
    found = np.flatnonzero(mask)
    if found.size == 0:
        return None
    row, column = divmod(int(found[rng.integers(found.size)]), mask.shape[1])
    return row, column


def class_histogram(label: NDArray[np.integer], ignore_index: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (classes, pixel counts) present in an index mask of any shape, without ``ignore_index``."""
    if label.dtype == np.uint8:
        counts = np.bincount(label.ravel(), minlength=256)
        values: NDArray[np.int64] = np.flatnonzero(counts)
        counts = counts[values]
    else:
        values, counts = np.unique(label, return_counts=True)
    keep = values != ignore_index
    return values[keep].astype(np.int64), counts[keep].astype(np.int64)
