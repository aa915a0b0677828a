"""A weighted sample of labelled pixels that keeps the rare class: drawn per image and class, with what is around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float64]
EIGHT = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class PixelSample:
    """A weighted sample of labelled pixels; see :func:`imbdense.core.inference.weighted_table.weighted_confusion`.

    Attributes:
        logits: (n, C). label: (n,). weight: (n,). image: (n,) index of the image.
        size: (n,) pixels of the connected part of its class that the pixel belongs to.
        border: (n,) distance in pixels to the nearest pixel of another class, capped at 255.
    """

    logits: NDArray[np.floating]
    label: NDArray[np.int64]
    weight: Floats
    image: NDArray[np.int64]
    size: NDArray[np.int64]
    border: NDArray[np.int64]

    @property
    def num_classes(self) -> int:
        """C."""
        return int(self.logits.shape[1])

    def take(self, keep: NDArray[np.bool_]) -> PixelSample:
        """The pixels of a mask."""
        return PixelSample(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))

    @classmethod
    def concat(cls, parts: Sequence[PixelSample]) -> PixelSample:
        """Join the samples of several images.

        Raises:
            ValueError: there is none, or no pixel in any.
        """
        if not sum(len(part.label) for part in parts):
            raise ValueError('there is no labelled pixel: is every label ignored?')
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__))


def draw_pixels(
    label: NDArray[np.integer], num_classes: int, per_class: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], Floats]:
    """Draw up to ``per_class`` pixels of every class of one image, without replacement.

    The weight of a pixel is the number of pixels of its class in the image over the number drawn, so that every
    weighted sum is an unbiased estimate of the sum over all pixels, and the number of pixels per class is exact.

    Args:
        label: (n,) class indices; values outside [0, C) (ignored) are never drawn.

    Returns:
        (indices into ``label`` ascending per class, weights), both (m,).
    """
    flat = label.reshape(-1)
    chosen, weights = [], []
    for index in range(num_classes):
        members = np.flatnonzero(flat == index)
        if members.size == 0:
            continue
        amount = min(per_class, members.size)
        drawn = members if amount == members.size else np.sort(rng.choice(members, amount, replace=False))
        chosen.append(drawn)
        weights.append(np.full(amount, members.size / amount))
    if not chosen:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    return np.concatenate(chosen), np.concatenate(weights)


def part_sizes(label: NDArray[np.integer], num_classes: int) -> NDArray[np.int64]:
    """(H, W) pixels of the 8-connected part of equal class that each pixel belongs to; 0 where ignored."""
    sizes = np.zeros(label.shape, dtype=np.int64)
    for index in range(num_classes):
        mask = label == index
        if not mask.any():
            continue
        parts, _ = ndimage.label(mask, structure=EIGHT)
        sizes[mask] = np.bincount(parts.reshape(-1))[parts[mask]]
    return sizes


def border_distance(label: NDArray[np.integer], ignore_index: int) -> NDArray[np.int64]:
    """(H, W) distance (rounded up, at most 255) to the nearest pixel of another class; ignored pixels are no class.

    1 for a pixel beside another class; 255 where the image holds one class only.
    """
    edge = np.zeros(label.shape, dtype=bool)
    for axis in (0, 1):
        first, second = (np.take(label, range(start, label.shape[axis] - 1 + start), axis=axis) for start in (0, 1))
        change = (first != second) & (first != ignore_index) & (second != ignore_index)
        for start in (0, 1):
            place = [slice(None), slice(None)]
            place[axis] = slice(start, label.shape[axis] - 1 + start)
            edge[tuple(place)] |= change
    if not edge.any():
        return np.full(label.shape, 255, dtype=np.int64)
    distance = np.ceil(ndimage.distance_transform_edt(~edge)) + 1
    return np.minimum(distance, 255).astype(np.int64)
