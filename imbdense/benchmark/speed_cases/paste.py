"""Pasting objects into their windows against composing whole images under whole-image masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from imbdense.benchmark.speed_case import SpeedCase, Unequal, Workload
from imbdense.core.compositing import Canvas, Cutout

SIDE, OBJECT, GIVEN = 1024, 100, 10


def _disc(size: int) -> np.ndarray:
    """(size, size) bool, true on a disc."""
    row, column = np.ogrid[:size, :size]
    return (row - size / 2 + 0.5) ** 2 + (column - size / 2 + 0.5) ** 2 < (size / 2) ** 2


def _places(number: int, side: int) -> list[tuple[int, int]]:
    """Corners of ``number`` discs that do not touch, in the upper part of an image."""
    across = side // (OBJECT + 2)
    return [(divmod(k, across)[0] * (OBJECT + 2), divmod(k, across)[1] * (OBJECT + 2)) for k in range(number)]


def _source(number: int, side: int) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int]]]:
    """(image with the objects, their whole-image masks (n, H, W), corners)."""
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
    masks = np.zeros((number, side, side), np.uint8)
    corners = _places(number, side)
    for mask, (top, left) in zip(masks, corners):
        mask[top : top + OBJECT, left : left + OBJECT] = _disc(OBJECT)
    return image, masks, corners


def _cut(image: np.ndarray, corners: list[tuple[int, int]]) -> list[Cutout]:
    """The objects of a source image, with hard borders as the peer pastes them."""
    return [Cutout(image[top : top + OBJECT, left : left + OBJECT], _disc(OBJECT), 1, 0) for top, left in corners]


def instances(scale: float) -> Workload:
    """20 instances with masks into 1024² with 10 instance masks, one of them partly covered."""
    from mmdet.datasets.transforms import CopyPaste
    from mmdet.structures.bbox import HorizontalBoxes
    from mmdet.structures.mask import BitmapMasks

    from imbdense.mm.transforms.host_boxes import boxes_of
    from imbdense.mm.transforms.paste_objects import add_objects, masks_with_room

    number = round(20 * scale)
    image, masks, corners = _source(number, SIDE)
    cutouts = _cut(image, corners)
    target = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    given = np.zeros((GIVEN, SIDE, SIDE), np.uint8)
    for index in range(1, GIVEN):
        given[index, 900:980, 100 * index - 90 : 100 * index - 20] = 1
    given[0, 60:400, 60:560] = 1
    boxes = BitmapMasks(given, SIDE, SIDE).get_bboxes(HorizontalBoxes)
    peer = CopyPaste(selected=False)

    def record(picture: np.ndarray, container: Any, found: Any, label: int) -> dict[str, Any]:
        return {
            'img': picture, 'gt_bboxes': found, 'gt_bboxes_labels': np.full(len(found), label),
            'gt_masks': BitmapMasks(container, SIDE, SIDE), 'gt_ignore_flags': np.zeros(len(found), bool),
        }  # fmt: skip

    pasted_boxes = BitmapMasks(masks, SIDE, SIDE).get_bboxes(HorizontalBoxes)

    def ours() -> dict[str, Any]:
        sample = record(target, given, boxes, 0)
        stack = masks_with_room(sample, number)
        canvas = Canvas(target.copy(), boxes_of(sample), stack[:GIVEN])
        for cutout, (top, left) in zip(cutouts, corners):
            if not canvas.paste(cutout, top, left):
                raise Unequal('a paste was refused')
        sample['img'] = canvas.image
        add_objects(sample, canvas, stack)
        return sample

    def theirs() -> dict[str, Any]:
        return peer._copy_paste(record(target, given, boxes, 0), record(image, masks, pasted_boxes, 1))

    def check(mine: dict[str, Any], other: dict[str, Any]) -> str:
        same = (
            np.array_equal(mine['img'], other['img'])
            and np.array_equal(mine['gt_masks'].masks, other['gt_masks'].masks)
            and np.array_equal(mine['gt_bboxes'].tensor, other['gt_bboxes'].tensor)
            and np.array_equal(mine['gt_bboxes_labels'], other['gt_bboxes_labels'])
        )
        if not same:
            raise Unequal('image, masks, boxes or labels')
        return 'image, masks, boxes and labels equal'

    return Workload(ours, theirs, check)


def label_map(scale: float) -> Workload:
    """20 instances into image and label map; ``scale`` is the area of the image, the instances stay."""
    side = round(SIDE * scale**0.5)
    image, masks, corners = _source(20, side)
    cutouts = _cut(image, corners)
    target = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    label = np.zeros((side, side), np.uint8)

    def ours() -> tuple[np.ndarray, np.ndarray]:
        canvas = Canvas(target, label=label)  # in place: the same pixels again every time
        for cutout, (top, left) in zip(cutouts, corners):
            canvas.paste(cutout, top, left)
        return target, label

    def theirs() -> tuple[np.ndarray, np.ndarray]:
        composed = np.where(np.any(masks, axis=0), 1, 0)
        mixed = target * (1 - composed[..., None]) + image * composed[..., None]
        return mixed, np.where(composed, 1, label)

    def check(mine: Any, other: Any) -> str:
        if not all(np.array_equal(a, b) for a, b in zip(mine, other)):
            raise Unequal('image or label map')
        return 'image and label map equal'

    return Workload(ours, theirs, check)


CASES = (
    SpeedCase('instance-paste', 'BankPaste, 20 instances of 100² with masks into 1024²', 'mmdet CopyPaste', 0.1,
              instances),
    SpeedCase('instance-paste-area', '20 instances of 100² into image and label map 1024²; area × 4 instead of n → 4n',
              'whole-image masks', 0.1, label_map, growth=1.5, small=1.0),
)
