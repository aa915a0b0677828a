"""The finished detections and the objects of a set of images, and their matches per class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.core.inference.box_matching import IOU_THRESHOLDS, ClassMatches, match_boxes
from imbdense.core.overlaps import box_iou

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ImageObjects:
    """Objects of one image: boxes (G, 4) x1 y1 x2 y2; labels (G,); ignored (G,) crowd or difficult."""

    boxes: NDArray[np.floating]
    labels: NDArray[np.int64]
    ignored: NDArray[np.bool_]


@dataclass(frozen=True)
class ImageDetections:
    """Finished detections of one image.

    Attributes:
        boxes: (D, 4). labels: (D,). scores: (D,).
        overlaps: (D, G) mask IoU with the objects of the image (for crowds: over the area of the detection), by which
            they are matched; ``None`` = by their boxes.
    """

    boxes: NDArray[np.floating]
    labels: NDArray[np.int64]
    scores: NDArray[np.floating]
    overlaps: Floats | None = None


def class_matches(
    detections: Sequence[ImageDetections],
    objects: Sequence[ImageObjects],
    num_classes: int,
    *,
    thresholds: Floats = IOU_THRESHOLDS,
    max_dets: int = 100,
) -> list[ClassMatches]:
    """Match every class over all images.

    Args:
        detections, objects: one entry per image, in the same order.
        max_dets: detections kept per image and class, best first (COCO: 100).
    """
    if len(detections) != len(objects):
        raise ValueError(f'class_matches: detections of {len(detections)} images, objects of {len(objects)}.')
    return [_one_class(detections, objects, label, thresholds, max_dets) for label in range(num_classes)]


def _one_class(
    detections: Sequence[ImageDetections],
    objects: Sequence[ImageObjects],
    label: int,
    thresholds: Floats,
    max_dets: int,
) -> ClassMatches:
    """The matches of one class."""
    scores, flags, images = [], [], []
    counts = np.zeros(len(objects), dtype=np.int64)
    for index, (found, truth) in enumerate(zip(detections, objects)):
        own = truth.labels == label
        counts[index] = int((own & ~truth.ignored).sum())
        chosen = np.flatnonzero(found.labels == label)
        chosen = chosen[np.argsort(-found.scores[chosen], kind='stable')][:max_dets]
        if chosen.size == 0:
            continue
        ignored = truth.ignored[own]
        if found.overlaps is None:
            overlaps = box_iou(found.boxes[chosen], truth.boxes[own], crowd=ignored)
        else:
            overlaps = found.overlaps[np.ix_(chosen, np.flatnonzero(own))]
        scores.append(found.scores[chosen].astype(np.float64))
        flags.append(match_boxes(overlaps, ignored, thresholds))
        images.append(np.full(chosen.size, index))
    if not scores:
        nothing = np.zeros((len(thresholds), 0), dtype=np.int8)
        return ClassMatches(np.zeros(0), nothing, np.zeros(0, dtype=np.int64), counts)
    return ClassMatches(np.concatenate(scores), np.concatenate(flags, axis=1), np.concatenate(images), counts)


def mean_average_precision(
    matches: Sequence[ClassMatches], images: NDArray[np.bool_] | None = None, *, level: int | None = None
) -> float:
    """mAP over classes with objects on the chosen images; ``level`` picks one IoU threshold. NaN without any object."""
    values = class_average_precision(matches, images, level=level)
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float('nan')


def class_average_precision(
    matches: Sequence[ClassMatches], images: NDArray[np.bool_] | None = None, *, level: int | None = None
) -> Floats:
    """AP per class (C,): mean over the IoU thresholds, or that of one ``level``; NaN without an object."""
    tables = [entry.average_precision(images) for entry in matches]
    return np.array([row.mean() if level is None else row[level] for row in tables])
