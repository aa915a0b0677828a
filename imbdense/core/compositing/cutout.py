"""An object ready to be pasted, and its random flip and scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BOX_FEATHER = 2
"""Soft border, in pixels, of an object of which only the box is known."""


@dataclass(frozen=True, eq=False)
class Cutout:
    """A crop with the object in it.

    Attributes:
        values: (h, w, bands), any number type.
        mask: (h, w) bool, true on the object (all of its box where no mask is known).
        klass: class index.
        feather: width of the soft border, see :func:`feathered_alpha`.
    """

    values: NDArray[Any]
    mask: NDArray[np.bool_]
    klass: int
    feather: int = 1

    @classmethod
    def of_box(cls, values: NDArray[Any], box: Sequence[int], klass: int) -> Cutout:
        """A crop of which only the box (x1, y1, x2, y2, whole pixels, ends exclusive) is known: soft over 2 px."""
        mask = np.zeros(values.shape[:2], bool)
        mask[box[1] : box[3], box[0] : box[2]] = True
        return cls(values, mask, klass, BOX_FEATHER)

    def flipped(self, *, horizontal: bool = False, vertical: bool = False) -> Cutout:
        """The mirror image."""
        turn = (slice(None, None, -1 if vertical else 1), slice(None, None, -1 if horizontal else 1))
        return Cutout(self.values[turn], self.mask[turn], self.klass, self.feather)

    def scaled(self, factor: float) -> Cutout:
        """Resized to round(factor * size), at least 1 pixel: values linear, mask nearest (pixel centres aligned).

        Linear interpolation looks at two pixels per axis: below a factor of one half it skips some.
        """
        height, width = self.mask.shape
        size = max(1, round(height * factor)), max(1, round(width * factor))
        if size == (height, width):
            return self
        rows, columns = (_centres(new, old) for new, old in zip(size, (height, width)))
        near = np.ix_(*(np.minimum((axis + 0.5).astype(np.intp), old - 1)
                        for axis, old in ((rows, height), (columns, width))))  # fmt: skip
        return Cutout(_linear(self.values, rows, columns), self.mask[near], self.klass, self.feather)


def _centres(new: int, old: int) -> NDArray[np.float32]:
    """Positions of the new pixels' centres among the old ones, clipped to the outermost centres."""
    places = (np.arange(new, dtype=np.float32) + 0.5) * (old / new) - 0.5
    return np.clip(places, 0, old - 1)


def _linear(values: NDArray[Any], rows: NDArray[np.float32], columns: NDArray[np.float32]) -> NDArray[Any]:
    """Bilinear values at all (row, column); rounded for whole-number types."""
    result = values.astype(np.float32)
    for axis, places in enumerate((rows, columns)):
        low = places.astype(np.intp)
        high = np.minimum(low + 1, values.shape[axis] - 1)
        share = (places - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        first, second = result.take(low, axis), result.take(high, axis)
        second -= first
        second *= share
        result = first + second
    if values.dtype.kind in 'ui':
        np.rint(result, out=result)
    return result.astype(values.dtype)
