"""Boxes of a detection data set, whatever file they came from, cleaned of what a detector cannot use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.finding import Finding


@dataclass(frozen=True)
class ImageInfo:
    """One image: ``id`` as in the file, name, size in pixels (0 = unknown)."""

    id: int | str
    file_name: str
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class DetectionAnnotations:
    """All usable boxes of one annotation file or folder.

    Attributes:
        source: the file or folder.
        classes: C names; ``category_ids[c]`` is the id of class c in the file.
        images: I images, in the order of the file.
        indptr: (I + 1,); image i owns the boxes ``indptr[i]:indptr[i + 1]``.
        labels: (N,) class index. boxes: (N, 4) float64 (x1, y1, x2, y2), inside the image. area: (N,) float64, of the
            mask where the file says so, else of the box. crowd: (N,) bool, not to be trained on (crowd, difficult).
        masks: N segmentations as in the file (polygons or RLE), None where there is none.
        findings: what was clipped, dropped or wrong.
        score: (N,) float64, confidence of a proposal; 1 where the file has none.
        entry: (N,) int64, place of the annotation in the file, in which some that are left out here may stand before.
        entries: how many annotations the file has.
    """

    source: str
    classes: tuple[str, ...]
    category_ids: tuple[int | str, ...]
    images: tuple[ImageInfo, ...]
    indptr: NDArray[np.int64]
    labels: NDArray[np.int64]
    boxes: NDArray[np.float64]
    area: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    masks: tuple[Any, ...]
    findings: tuple[Finding, ...]
    score: NDArray[np.float64]
    entry: NDArray[np.int64]
    entries: int

    def __len__(self) -> int:
        """I, the number of images."""
        return len(self.images)

    def objects_of(self, image: int) -> range:
        """Indices of the boxes of one image."""
        return range(int(self.indptr[image]), int(self.indptr[image + 1]))


@dataclass
class BoxCollector:
    """Collects boxes and what is wrong with them; at most ``shown`` examples per kind of fault are kept by name."""

    source: str
    image: list[int] = field(default_factory=list)
    label: list[int] = field(default_factory=list)
    box: list[Sequence[float]] = field(default_factory=list)
    area: list[float] = field(default_factory=list)
    crowd: list[bool] = field(default_factory=list)
    mask: list[Any] = field(default_factory=list)
    score: list[float] = field(default_factory=list)
    entry: list[int] = field(default_factory=list)

    def add(
        self,
        image: int,
        label: int,
        corners: Sequence[float],
        *,
        area: float = -1.0,
        crowd: bool = False,
        mask: Any = None,
        score: float = 1.0,
        entry: int = -1,
    ) -> None:
        """Add one box by its corners; ``area`` < 0 means that of the box, ``entry`` is its place in the file."""
        self.image.append(image)
        self.label.append(label)
        self.box.append(corners)
        self.area.append(area)
        self.crowd.append(crowd)
        self.mask.append(mask)
        self.score.append(score)
        self.entry.append(entry)

    def finish(
        self,
        classes: Sequence[str],
        category_ids: Sequence[int | str],
        images: Sequence[ImageInfo],
        findings: Sequence[Finding] = (),
        entries: int | None = None,
    ) -> DetectionAnnotations:
        """Clip boxes to their image, drop those without area, sort by image; ``entries`` as in the file."""
        image = np.asarray(self.image, np.int64)
        boxes = np.asarray(self.box, np.float64).reshape(-1, 4)
        extent = np.array([(info.width or np.inf, info.height or np.inf) for info in images], np.float64).reshape(-1, 2)
        limit = np.tile(extent[image], 2) if image.size else np.zeros((0, 4))
        finite = np.isfinite(boxes).all(1)
        clipped = np.minimum(np.maximum(np.where(np.isfinite(boxes), boxes, 0.0), 0.0), limit)
        sides = clipped[:, 2:] - clipped[:, :2]
        keep = finite & (sides > 0).all(1)
        moved = keep & (np.abs(clipped - boxes) > 1e-6).any(1)
        found = [*findings, *self._faults(images, image, boxes, keep, moved)]
        order = np.flatnonzero(keep)[np.argsort(image[keep], kind='stable')]
        given = np.asarray(self.area, np.float64)
        area = np.where(given > 0, given, sides.prod(1)) if given.size else given
        per_image = np.bincount(image[order], minlength=len(images))
        return DetectionAnnotations(
            self.source,
            tuple(classes),
            tuple(category_ids),
            tuple(images),
            np.concatenate([[0], np.cumsum(per_image)]).astype(np.int64),
            np.asarray(self.label, np.int64)[order],
            clipped[order],
            area[order],
            np.asarray(self.crowd, bool)[order],
            tuple(self.mask[index] for index in order.tolist()),
            tuple(found),
            np.asarray(self.score, np.float64)[order],
            np.asarray(self.entry, np.int64)[order],
            len(self.image) if entries is None else entries,
        )

    def _faults(
        self,
        images: Sequence[ImageInfo],
        image: NDArray[np.int64],
        boxes: NDArray[np.float64],
        keep: NDArray[np.bool_],
        moved: NDArray[np.bool_],
    ) -> list[Finding]:
        """One finding per kind, with the first boxes named."""
        found = []
        for chosen, code, what, cure in (
            (~keep, 'degenerate_box', 'without area inside their image', 'They are left out; correct or remove them.'),
            (
                moved,
                'box_outside',
                'that reach outside their image',
                'They are clipped; correct them if that is not meant.',
            ),
        ):
            if chosen.any():
                examples = '; '.join(
                    f'{images[image[i]].file_name} {tuple(round(float(v), 1) for v in boxes[i])}'
                    for i in np.flatnonzero(chosen)[:3].tolist()
                )
                found.append(
                    Finding(
                        'warning',
                        code,
                        self.source,
                        f'has {int(chosen.sum())} boxes (x1, y1, x2, y2) {what}: {examples}.',
                        cure,
                    )
                )
        return found
