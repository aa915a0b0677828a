"""Where a detector loses the objects of each class: cut, classification, localisation, ranking or proposals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.core.inference.detection_set import ImageDetections, ImageObjects, class_average_precision, class_matches
from imbdense.core.inference.shares import waterfall
from imbdense.core.overlaps import box_iou

Floats = NDArray[np.float64]
COVERS, NEAR = 0.5, 0.3
NEVER = -1e4
"""A logit whose probability is exactly 0."""
DETECTION_CAUSES: tuple[str, ...] = ('threshold', 'classification', 'localisation', 'ranking', 'proposals')


@dataclass(frozen=True)
class Reach:
    """How close the boxes of a detector come to the objects of one image, whatever class or score they have.

    Attributes:
        covered: (G,) some finished box has IoU >= 0.5. near: (G,) some proposal or finished box has IoU >= 0.3.
        taken_for: (G,) the class with the highest score among the boxes that cover it; C = nothing above the score
            threshold, or not covered.
    """

    covered: NDArray[np.bool_]
    near: NDArray[np.bool_]
    taken_for: NDArray[np.int64]


def place_boxes(boxes: NDArray[np.floating], scores: NDArray[np.floating]) -> NDArray[np.floating]:
    """One box per place: (A, 4) as they are; of (A, C * 4) the box of the class with the highest score."""
    if boxes.shape[1] == 4:
        return boxes
    by_class = boxes.reshape(len(boxes), -1, 4)
    return by_class[np.arange(len(boxes)), scores.argmax(axis=1)] if len(boxes) else by_class[:, 0]


def reach_objects(
    boxes: NDArray[np.floating],
    scores: NDArray[np.floating],
    proposals: NDArray[np.floating],
    truth: ImageObjects,
    score_thr: float,
) -> Reach:
    """Compare all candidate boxes of one image with its objects.

    Args:
        boxes: (A, 4) or (A, C * 4) finished boxes before any cut. scores: (A, C) class scores in [0, 1].
        proposals: (P, 4) boxes before the last regression; the boxes themselves for one-stage heads.
        score_thr: least score of the model.
    """
    classes = scores.shape[1]
    places = place_boxes(boxes, scores)
    overlaps = box_iou(truth.boxes, places)
    if boxes.shape[1] != 4 and len(boxes):
        own = boxes.reshape(len(boxes), -1, 4)
        for g, label in enumerate(truth.labels):
            overlaps[g] = np.maximum(overlaps[g], box_iou(truth.boxes[g : g + 1], own[:, label])[0])
    covering = overlaps >= COVERS
    covered: NDArray[np.bool_] = np.asarray(covering.any(axis=1))
    nearest = np.maximum(overlaps.max(axis=1, initial=0.0), box_iou(truth.boxes, proposals).max(axis=1, initial=0.0))
    taken = np.full(len(truth.labels), classes, dtype=np.int64)
    if scores.size:
        top, label = scores.max(axis=1), scores.argmax(axis=1)
        for g in np.flatnonzero(covered):
            row = int(np.where(covering[g], top, -1.0).argmax())
            taken[g] = label[row] if top[row] > score_thr else classes
    return Reach(covered, nearest >= NEAR, taken)


def oracle_classes(
    logits: NDArray[np.floating],
    boxes: NDArray[np.floating],
    truth: ImageObjects,
    num_classes: int,
    *,
    least: float = COVERS,
    proposals: NDArray[np.floating] | None = None,
    snap: bool = False,
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return (logits, boxes) in which every box on an object has that object's class and no other.

    The true class gets the highest class logit of the row (with a background channel: the log of the summed class
    scores), so how sure the model is that *something* is there stays; the other classes get a score of 0. Of boxes per
    class the true class gets that of the highest logit.

    Args:
        least: IoU from which on a box is on an object (the one it overlaps most).
        proposals: (A, 4) boxes before the last regression; a row is also on an object that its proposal is on.
        snap: give these rows the box of the object (oracle localisation).
    """
    if len(logits) == 0 or len(truth.labels) == 0:
        return logits, boxes
    classes = logits[:, :num_classes]
    overlaps = box_iou(place_boxes(boxes, classes), truth.boxes)
    if proposals is not None and len(proposals) == len(boxes):
        overlaps = np.maximum(overlaps, box_iou(proposals, truth.boxes))
    overlaps[:, truth.ignored] = 0.0
    rows = np.flatnonzero(overlaps.max(axis=1) >= least)
    on = overlaps[rows].argmax(axis=1)
    wanted, had = truth.labels[on], classes[rows].argmax(axis=1)
    top = classes[rows, had]
    if logits.shape[1] > num_classes:
        top = top + np.log(np.exp(classes[rows] - top[:, None]).sum(axis=1))
    logits = logits.copy()
    logits[rows, :num_classes] = NEVER
    logits[rows, wanted] = top
    by_class = boxes.reshape(len(boxes), -1, 4).copy()
    if by_class.shape[1] > 1:
        by_class[rows, wanted] = by_class[rows, had]
    if snap:
        by_class[rows] = truth.boxes[on][:, None]
    return logits, by_class.reshape(boxes.shape)


def detection_shares(
    real: Sequence[ImageDetections],
    uncut: Sequence[ImageDetections],
    oracle: Sequence[ImageDetections],
    snapped: Sequence[ImageDetections],
    reach: Sequence[Reach],
    objects: Sequence[ImageObjects],
    num_classes: int,
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Split 1 - AP50 of every class into :data:`DETECTION_CAUSES`.

    ::

        threshold       AP50 -> AP50 without score threshold and cap on the detections per image, each class shifted
                        to its most likely prior (likelihood_offsets). The order within a class hardly depends on its
                        own shift, so this is what any shift could win.
        classification  -> AP50 when every box on an object (IoU 0.5) carries the class of that object only
        localisation    -> AP50 when every box (or its proposal) that comes near an object (IoU 0.3) is moved onto it
        ranking         -> the share of objects that some box comes near to (oracle scores: objects above background)
        proposals       -> 1

    Args:
        real, uncut, oracle, snapped: detections per image as the model gives them; without cuts and shifted; besides
            with :func:`oracle_classes` at IoU 0.5; and at IoU 0.3 with ``snap``.
        reach: of :func:`reach_objects` per image.

    Returns:
        (cause -> share (C,), stage -> score (C,)); NaN for classes without objects.
    """
    level = np.array([COVERS])

    def ap50(detections: Sequence[ImageDetections]) -> Floats:
        return class_average_precision(class_matches(detections, objects, num_classes, thresholds=level), level=0)

    totals, near = np.zeros(num_classes), np.zeros(num_classes)
    for truth, found in zip(objects, reach):
        keep = ~truth.ignored
        totals += np.bincount(truth.labels[keep], minlength=num_classes)
        near += np.bincount(truth.labels[keep & found.near], minlength=num_classes)
    stages = {
        'AP50': ap50(real),
        'AP50_uncut': ap50(uncut),
        'AP50_oracle_class': ap50(oracle),
        'AP50_oracle_box': ap50(snapped),
        'box_recall': near / np.where(totals > 0, totals, np.nan),
    }
    reached = [stages[name] for name in list(stages)[1:]] + [np.ones(num_classes)]
    return waterfall(list(zip(DETECTION_CAUSES, reached)), stages['AP50']), stages


def taken_for_table(reach: Sequence[Reach], objects: Sequence[ImageObjects], num_classes: int) -> NDArray[np.int64]:
    """(C, C + 1) objects by class and by what they are taken for; the last column is "nothing"."""
    table = np.zeros((num_classes, num_classes + 1), dtype=np.int64)
    for truth, found in zip(objects, reach):
        keep = ~truth.ignored
        np.add.at(table, (truth.labels[keep], found.taken_for[keep]), 1)
    return table
