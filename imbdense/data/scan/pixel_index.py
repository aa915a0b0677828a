"""Where the pixels of each class are: a few drawn positions per image and class, for class-centred crops."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbdense.data.scan.records import take_rows


class PixelIndex:
    """Up to K label positions per (image, class), in compressed rows; 8 bytes per entry and 4 per position.

    Positions of one entry are a stratified draw: every pixel of the class has the same chance, and all pixels are
    there when the class has at most K. They refer to the *stored* label, after class mapping, before any transform.

    Args:
        shapes: (I, 2) height and width of each label.
        indptr: (I + 1,); image i owns the entries ``indptr[i]:indptr[i + 1]``.
        classes: (E,) class of each entry, ascending inside an image.
        position_ptr: (E + 1,) and ``positions`` (P,) uint32, y * width + x, ascending inside an entry.

    Immutable; safe to share with forked loader workers.
    """

    def __init__(
        self, shapes: ArrayLike, indptr: ArrayLike, classes: ArrayLike, position_ptr: ArrayLike, positions: ArrayLike
    ) -> None:
        self.shapes: NDArray[np.int32] = np.asarray(shapes, np.int32).reshape(-1, 2)
        self.indptr: NDArray[np.int64] = np.asarray(indptr, np.int64)
        self.classes: NDArray[np.int32] = np.asarray(classes, np.int32)
        self.position_ptr: NDArray[np.int64] = np.asarray(position_ptr, np.int64)
        self.flat: NDArray[np.uint32] = np.asarray(positions, np.uint32)
        if self.indptr.size != len(self.shapes) + 1 or self.position_ptr.size != self.classes.size + 1:
            raise ValueError('PixelIndex: the pointers do not fit the number of images and entries.')

    def __len__(self) -> int:
        """I, the number of images."""
        return len(self.shapes)

    def size(self, image: int) -> tuple[int, int]:
        """(height, width) of the label of ``image``."""
        return int(self.shapes[image, 0]), int(self.shapes[image, 1])

    def classes_of(self, image: int) -> NDArray[np.int32]:
        """Classes present in ``image``, ascending."""
        return self.classes[self.indptr[image] : self.indptr[image + 1]]

    def positions(self, image: int, klass: int) -> NDArray[np.int32]:
        """(k, 2) int32 positions (y, x) of ``klass`` in ``image``, k <= K, row by row; (0, 2) when it is absent."""
        first, last = self.indptr[image], self.indptr[image + 1]
        entry = first + np.searchsorted(self.classes[first:last], klass)
        if entry == last or self.classes[entry] != klass:
            return np.zeros((0, 2), np.int32)
        flat = self.flat[self.position_ptr[entry] : self.position_ptr[entry + 1]]
        return np.stack(np.divmod(flat, np.uint32(self.shapes[image, 1])), axis=1).astype(np.int32)

    def subset(self, images: ArrayLike) -> PixelIndex:
        """The index of the given images, in the given order (repeats allowed)."""
        chosen = np.asarray(images, np.int64)
        indptr, entries = take_rows(self.indptr, chosen)
        position_ptr, flat = take_rows(self.position_ptr, entries)
        return PixelIndex(self.shapes[chosen], indptr, self.classes[entries], position_ptr, self.flat[flat])

    @classmethod
    def concat(cls, parts: list[PixelIndex]) -> PixelIndex:
        """The images of all parts, one after the other."""

        def pointer(name: str) -> NDArray[np.int64]:
            lengths = [np.diff(getattr(part, name)) for part in parts]
            return np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)

        return cls(
            np.concatenate([part.shapes for part in parts]),
            pointer('indptr'),
            np.concatenate([part.classes for part in parts]),
            pointer('position_ptr'),
            np.concatenate([part.flat for part in parts]),
        )
