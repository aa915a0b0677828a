"""Annotated objects per image as compressed rows, and their counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbdense.core.stats import ClassCounts, ImageClassTable
from imbdense.data.scan.records import take_rows
from imbdense.data.scan.result import cooccurrence

SIZE_BINS = 40


@dataclass(frozen=True, eq=False)
class InstanceRecords:
    """The objects of I images; image i owns the objects ``indptr[i]:indptr[i + 1]``.

    Attributes:
        indptr: (I + 1,) int64.
        klass: (N,) int32 class indices.
        area: (N,) float64 areas in pixels (box or mask).
        ignored: objects left out because they are crowd, difficult or marked as ignored.
    """

    indptr: NDArray[np.int64]
    klass: NDArray[np.int32]
    area: NDArray[np.float64]
    ignored: int = 0

    def __len__(self) -> int:
        """I, the number of images."""
        return self.indptr.size - 1

    @classmethod
    def of_lists(
        cls, labels: Sequence[Sequence[int]], areas: Sequence[Sequence[float]], ignored: int = 0
    ) -> InstanceRecords:
        """Build from one list of class indices and one of areas per image."""
        lengths = np.fromiter(map(len, labels), np.int64, count=len(labels))
        total = int(lengths.sum())
        klass = np.fromiter((value for row in labels for value in row), np.int32, count=total)
        area = np.fromiter((value for row in areas for value in row), np.float64, count=total)
        return cls(np.concatenate([[0], np.cumsum(lengths)]), klass, area, ignored)

    @classmethod
    def concat(cls, parts: Sequence[InstanceRecords]) -> InstanceRecords:
        """The images of all parts, one after the other."""
        lengths = np.concatenate([np.diff(part.indptr) for part in parts])
        return cls(
            np.concatenate([[0], np.cumsum(lengths)]),
            np.concatenate([part.klass for part in parts]),
            np.concatenate([part.area for part in parts]),
            sum(part.ignored for part in parts),
        )

    def take(self, rows: ArrayLike) -> InstanceRecords:
        """The given images in the given order (repeats allowed)."""
        indptr, objects = take_rows(self.indptr, np.asarray(rows, np.int64))
        return InstanceRecords(indptr, self.klass[objects], self.area[objects], self.ignored)

    def table(self, num_classes: int) -> ImageClassTable:
        """Objects per (image, class)."""
        image = np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.indptr))
        keys, amounts = np.unique(image * num_classes + self.klass, return_counts=True)
        per_image = np.bincount(keys // num_classes, minlength=len(self))
        return ImageClassTable(np.concatenate([[0], np.cumsum(per_image)]), keys % num_classes, amounts, num_classes)

    def counts(self, classes: Sequence[str], fingerprint: str = '') -> ClassCounts:
        """Instances and images per class, co-occurrence, and the histogram of areas (bin b: 2**b <= area < 2**(b+1)).

        Areas below one pixel fall into bin 0.
        """
        size = len(classes)
        table = self.table(size)
        bins = np.clip(np.frexp(np.maximum(self.area, 1.0))[1] - 1, 0, SIZE_BINS - 1)
        sizes = np.bincount(self.klass.astype(np.int64) * SIZE_BINS + bins, minlength=size * SIZE_BINS)
        sizes = sizes.reshape(size, SIZE_BINS)
        used = np.flatnonzero(sizes.sum(0))
        return ClassCounts(
            tuple(classes),
            instances=table.totals,
            images=table.image_counts,
            num_images=len(self),
            cooccurrence=cooccurrence(table),
            object_sizes=sizes[:, : int(used[-1]) + 1 if used.size else 1],
            fingerprint=fingerprint,
        )
