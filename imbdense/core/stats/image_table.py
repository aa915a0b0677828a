"""Which image holds how much of which class, as compressed sparse rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array


class ImageClassTable:
    """A sparse (images x classes) table of amounts: pixels for segmentation, objects for detection.

    Holding 10^6 images with three classes each takes about 50 MB, and everything a sampler needs (images of a class,
    class totals, expected totals under draw rates) is one vectorised pass, instead of a Python call per image.

    Args:
        indptr: (I + 1,) int64; the entries of image i are ``indptr[i]:indptr[i + 1]``.
        classes: (E,) class index of each entry, sorted inside an image, no class twice.
        amounts: (E,) int64 > 0, how much of that class the image holds.
        num_classes: C.

    Images without any class (pure background) have an empty row. Immutable.
    """

    def __init__(self, indptr: ArrayLike, classes: ArrayLike, amounts: ArrayLike, num_classes: int) -> None:
        self.indptr: NDArray[np.int64] = np.ascontiguousarray(indptr, dtype=np.int64)
        self.classes: NDArray[np.int32] = np.ascontiguousarray(classes, dtype=np.int32)
        self.amounts: NDArray[np.int64] = np.ascontiguousarray(amounts, dtype=np.int64)
        self.num_classes = int(num_classes)
        if self.indptr.ndim != 1 or self.indptr.size == 0 or self.indptr[-1] != self.classes.size:
            raise ValueError(f'indptr must end with the number of entries, {self.classes.size}.')
        if self.classes.shape != self.amounts.shape:
            raise ValueError(f'classes {self.classes.shape} and amounts {self.amounts.shape} must have equal shapes.')
        if self.classes.size and (self.classes.min() < 0 or self.classes.max() >= self.num_classes):
            raise ValueError(
                f'class indices must lie in [0, {self.num_classes}), but range from {self.classes.min()} to '
                f'{self.classes.max()}. Does the class list fit the labels?'
            )

    @classmethod
    def from_lists(cls, lists: Sequence[Sequence[int]], num_classes: int) -> ImageClassTable:
        """Build from one list of class indices per image; a repeated index counts as several objects."""
        lengths = np.fromiter((len(row) for row in lists), dtype=np.int64, count=len(lists))
        total = int(lengths.sum())
        flat = np.fromiter((value for row in lists for value in row), dtype=np.int64, count=total)
        if total and (flat.min() < 0 or flat.max() >= num_classes):
            raise ValueError(f'class indices must lie in [0, {num_classes}), but got {flat.min()} … {flat.max()}.')
        image = np.repeat(np.arange(len(lists)), lengths)
        keys, counts = np.unique(image * num_classes + flat, return_counts=True)
        per_image = np.bincount(keys // num_classes, minlength=len(lists))
        return cls(np.concatenate([[0], np.cumsum(per_image)]), keys % num_classes, counts, num_classes)

    @classmethod
    def from_dense(cls, table: ArrayLike) -> ImageClassTable:
        """Build from a dense (I, C) array of amounts."""
        dense = np.asarray(table, dtype=np.int64)
        image, klass = np.nonzero(dense)
        per_image = np.bincount(image, minlength=dense.shape[0])
        return cls(np.concatenate([[0], np.cumsum(per_image)]), klass, dense[image, klass], dense.shape[1])

    def __len__(self) -> int:
        """The number of images."""
        return self.indptr.size - 1

    def classes_of(self, image: int) -> NDArray[np.int32]:
        """Class indices present in one image, ascending."""
        return self.classes[self.indptr[image] : self.indptr[image + 1]]

    def amounts_of(self, image: int) -> NDArray[np.int64]:
        """Amounts that belong to :meth:`classes_of`."""
        return self.amounts[self.indptr[image] : self.indptr[image + 1]]

    def images_of(self, klass: int) -> NDArray[np.int64]:
        """Indices of the images that contain ``klass``, ascending (a view, do not write)."""
        indptr, images, _ = self._by_class
        return images[indptr[klass] : indptr[klass + 1]]

    def amounts_in_images_of(self, klass: int) -> NDArray[np.int64]:
        """How much of ``klass`` each image of :meth:`images_of` holds."""
        indptr, _, amounts = self._by_class
        return amounts[indptr[klass] : indptr[klass + 1]]

    @cached_property
    def entry_images(self) -> NDArray[np.int64]:
        """(E,) the image of each entry."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.indptr))

    @cached_property
    def totals(self) -> NDArray[np.int64]:
        """(C,) amount per class over all images."""
        totals = np.zeros(self.num_classes, dtype=np.int64)
        np.add.at(totals, self.classes, self.amounts)
        return totals

    @cached_property
    def image_counts(self) -> NDArray[np.int64]:
        """(C,) number of images that contain the class."""
        return np.diff(self._by_class[0])

    @cached_property
    def empty_images(self) -> NDArray[np.int64]:
        """Indices of images without any class."""
        return np.flatnonzero(np.diff(self.indptr) == 0)

    def expected_totals(self, draws: ArrayLike) -> NDArray[np.float64]:
        """(C,) expected amount per class when image i is drawn ``draws[i]`` times per epoch."""
        rates = np.asarray(draws, dtype=np.float64)
        if rates.shape != (len(self),):
            raise ValueError(f'draws must hold one rate per image, ({len(self)},), but has shape {rates.shape}.')
        weights = self.amounts * rates[self.entry_images]
        return np.bincount(self.classes, weights=weights, minlength=self.num_classes).astype(np.float64)

    def subset(self, images: ArrayLike) -> ImageClassTable:
        """The table of the given images, in the given order (repeats allowed)."""
        chosen = np.asarray(images, dtype=np.int64)
        lengths = np.diff(self.indptr)[chosen]
        starts = np.repeat(self.indptr[chosen] - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
        entries = starts + np.arange(int(lengths.sum()))
        return ImageClassTable(
            np.concatenate([[0], np.cumsum(lengths)]), self.classes[entries], self.amounts[entries], self.num_classes
        )

    @cached_property
    def _by_class(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """The same entries as compressed columns: (indptr, images, amounts). One counting pass, no sort."""
        narrow = np.int32 if self.classes.size < 2**31 else np.int64
        rows = (self.amounts, self.classes.astype(narrow, copy=False), self.indptr.astype(narrow))
        columns = csr_array(rows, shape=(len(self), self.num_classes)).tocsc()
        return columns.indptr.astype(np.int64), columns.indices.astype(np.int64), columns.data
