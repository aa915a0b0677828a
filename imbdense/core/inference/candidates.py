"""What a detector says about one image before it cuts and suppresses: boxes and logits of every place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.inference.detection_set import ImageObjects
from imbdense.core.overlaps import box_iou

Floats = NDArray[np.float64]
ARRAYS = ('boxes', 'logits', 'factor', 'level', 'proposals', 'mask_iou')


@dataclass(frozen=True)
class BoxCandidates:
    """All places of one image that can still become detections, in pixels of the image file.

    Attributes:
        boxes: (A, 4) x1 y1 x2 y2, or (A, C * 4) where every class has its own. float32.
        logits: (A, C), or (A, C + 1) with the background last. float32.
        factor: (A,) what the class score is multiplied with (centre-ness, IoU, objectness), 1 where the head has none;
            (A, C) where it differs between the classes of a place (peaks of heat maps).
        level: (A,) feature level, 0 for heads without.
        proposals: (P, 4) boxes before the last regression (two-stage), else (0, 4).
        objects: the annotated objects.
        image_id: as the data set names it, for messages.
        mask_iou: (P, 3) place, object, and IoU of the mask that the place gets as a detection of the object's class
            with the object; pairs that are left out overlap less than any threshold of AP.
    """

    boxes: NDArray[np.float32]
    logits: NDArray[np.float32]
    factor: NDArray[np.float32]
    level: NDArray[np.int16]
    proposals: NDArray[np.float32]
    objects: ImageObjects
    image_id: str
    mask_iou: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 3), np.float32))

    def overlaps_of(self, places: NDArray[np.int64], labels: NDArray[np.int64]) -> Floats:
        """(D, G) mask IoU of detections, made of these places as these classes, with the objects of their class."""
        table = np.zeros((len(self.boxes), len(self.objects.labels)))
        pairs = self.mask_iou[:, :2].astype(np.int64)
        table[pairs[:, 0], pairs[:, 1]] = self.mask_iou[:, 2]
        return np.where(labels[:, None] == self.objects.labels[None], table[places], 0.0)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Named arrays for a file."""
        return {name: getattr(self, name) for name in ARRAYS} | {
            'gt_boxes': self.objects.boxes,
            'gt_labels': self.objects.labels,
            'gt_ignored': self.objects.ignored,
            'image_id': np.array(self.image_id),
        }

    @classmethod
    def from_arrays(cls, record: Mapping[str, NDArray[Any]]) -> BoxCandidates:
        """Rebuild from :meth:`to_arrays`."""
        objects = ImageObjects(record['gt_boxes'], record['gt_labels'], record['gt_ignored'])
        arrays = {name: record[name] for name in ARRAYS}
        return cls(objects=objects, image_id=str(record['image_id']), **arrays)


def keep_best_places(
    logits: NDArray[np.floating], level: NDArray[np.integer], per_class: int, limit: int
) -> NDArray[np.int64]:
    """Indices of the places worth keeping, ascending.

    On every level the places among the ``per_class`` best of any class are kept. A head that takes the ``nms_pre`` best
    (place, class) pairs of a level loses nothing by ``per_class = nms_pre`` under any calibration that is increasing in
    each class. Beyond ``limit`` places in all, those with the best rank within some class stay, and the result is no
    longer exact.

    Args:
        logits: (A, C). level: (A,). per_class: <= 0 = all.
    """
    rank = np.full(len(logits), np.iinfo(np.int64).max)
    for number in np.unique(level):
        rows = np.flatnonzero(level == number)
        order = np.argsort(-logits[rows], axis=0, kind='stable')
        ranks = np.empty_like(order)
        np.put_along_axis(ranks, order, np.arange(len(rows))[:, None], axis=0)
        rank[rows] = ranks.min(axis=1)
    kept = np.flatnonzero(rank < per_class) if per_class > 0 else np.arange(len(logits))
    if kept.size > limit:
        kept = np.sort(kept[np.argsort(rank[kept], kind='stable')[:limit]])
    return kept


def row_targets(
    candidates: BoxCandidates, places: NDArray[np.floating], num_classes: int
) -> NDArray[np.int64]:
    """(A,) the class of the object that each place covers (IoU >= 0.5, the most overlapped), C for background, -1 for
    places on ignored objects."""
    target = np.full(len(places), num_classes, dtype=np.int64)
    if len(places) == 0 or len(candidates.objects.labels) == 0:
        return target
    overlaps = box_iou(places, candidates.objects.boxes)
    best = overlaps.argmax(axis=1)
    on = overlaps[np.arange(len(places)), best] >= 0.5
    target[on] = candidates.objects.labels[best[on]]
    target[on & candidates.objects.ignored[best]] = -1
    return target
