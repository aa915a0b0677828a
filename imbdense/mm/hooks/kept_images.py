"""Which evaluated images to keep for the report: the worst of every rare class, and fixed ones for before and after.

Only a few compressed label windows are held per class, so memory does not grow with the evaluated set.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCORE_THRESHOLD = 0.3
"""Detections below this are not shown and find nothing."""
MATCH_IOU = 0.5
BLOCK = 16
Window = tuple[int, int, int, int]


@dataclass
class KeptImages:
    """The kept images of one evaluation, per class and role.

    Roles: ``worst`` = lowest IoU of the class (segmentation) or most missed objects (detection); among equals the
    larger amount of truth. ``showcase`` = largest amount of the class in the truth; it depends on the labels alone, so
    every run keeps the same images and windows, and a report can lay their predictions side by side.

    Attributes:
        num_classes: C. classes: class indices to keep images for. per_class: images per class and role.
        window: side of the kept window in pixels; smaller images are kept whole.
        truth: (C,) amount of truth seen, to find the rare classes when nobody counted the training labels.
        entries: (role, class) -> [(key, record)], ascending by key.
    """

    num_classes: int
    classes: Sequence[int]
    per_class: int = 3
    window: int = 512
    truth: NDArray[np.int64] = field(init=False)
    entries: dict[tuple[str, int], list[tuple[tuple[Any, ...], dict[str, Any]]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.truth = np.zeros(self.num_classes, np.int64)

    def add_labels(self, path: str, truth: NDArray[Any], pred: NDArray[Any], ignore_index: int = 255) -> None:
        """Look at one segmented image: index masks (H, W) of equal shape; other values than [0, C) are not counted."""
        size = self.num_classes
        valid = (truth < size) & (truth != ignore_index) & (pred < size) & (truth >= 0)
        pairs = truth[valid].astype(np.int64) * size + pred[valid]
        table = np.bincount(pairs, minlength=size * size).reshape(size, size)
        held, found, hit = table.sum(axis=1), table.sum(axis=0), np.diag(table)
        self.truth += held
        for c in self.classes:
            if held[c] == 0:
                continue
            iou = float(hit[c] / (held[c] + found[c] - hit[c]))
            numbers = {'iou': iou, 'truth_pixels': int(held[c]), 'predicted_pixels': int(found[c])}

            def record(role: str, c: int = c, numbers: dict[str, Any] = numbers) -> dict[str, Any]:
                mask = (truth == c) if role == 'showcase' else valid & ((truth == c) != (pred == c))
                y0, x0, y1, x1 = box = densest_window(mask, self.window)
                labels = {'truth': encode_labels(truth[y0:y1, x0:x1]), 'prediction': encode_labels(pred[y0:y1, x0:x1])}
                return {'kind': 'segmentation', 'path': path, 'window': box, **numbers, **labels}

            self._offer('worst', c, (iou, -int(held[c]), path), record)
            self._offer('showcase', c, (-int(held[c]), path), record)

    def add_boxes(
        self, path: str, shape: tuple[int, int], truth: NDArray[Any], pred: NDArray[Any], scores: NDArray[Any]
    ) -> None:
        """Look at one image with objects: rows (x0, y0, x1, y1, class) in pixels of the image, scores (n,)."""
        shown = scores >= SCORE_THRESHOLD
        pred, scores = pred[shown], scores[shown]
        self.truth += np.bincount(truth[:, 4].astype(np.int64), minlength=self.num_classes)
        for c in self.classes:
            own = truth[truth[:, 4] == c]
            if len(own) == 0:
                continue
            mine = pred[:, 4] == c
            missed, false = unmatched(own[:, :4], pred[mine][:, :4], scores[mine])
            numbers = {'missed': int(missed.sum()), 'objects': len(own), 'false': int(false)}

            def record(
                role: str, own: Any = own, missed: Any = missed, numbers: dict[str, Any] = numbers
            ) -> dict[str, Any]:
                focus = own[missed] if role == 'worst' and missed.any() else own
                box = box_window(focus[:, :4], shape, self.window)
                found = np.column_stack([pred, scores])
                return {
                    'kind': 'detection', 'path': path, 'window': box, **numbers,
                    'truth_boxes': inside(truth, box), 'predicted_boxes': inside(found, box),
                }  # fmt: skip

            self._offer('worst', c, (-numbers['missed'], -len(own), path), record)
            self._offer('showcase', c, (-len(own), path), record)

    def merge(self, others: Sequence[KeptImages]) -> KeptImages:
        """Join the images kept by other ranks; an image that a sampler evaluated twice is kept once."""
        for other in others:
            self.truth += other.truth
            for place, entries in other.entries.items():
                self.entries[place] = _best([*self.entries.get(place, []), *entries], self.per_class)
        return self

    def _offer(self, role: str, c: int, key: tuple[Any, ...], record: Callable[[str], dict[str, Any]]) -> None:
        """Keep an image if it is among the first; the windows are cut and compressed only then."""
        entries = self.entries.setdefault((role, c), [])
        if len(entries) >= self.per_class and key >= entries[-1][0]:
            return
        self.entries[role, c] = _best([*entries, (key, record(role))], self.per_class)


def densest_window(mask: NDArray[np.bool_], side: int) -> Window:
    """(y0, x0, y1, x1) of the window of at most ``side`` that holds most of ``mask``, to the nearest 16 pixels."""
    height, width = mask.shape
    if height <= side and width <= side:
        return 0, 0, height, width
    rows, columns = -(-height // BLOCK), -(-width // BLOCK)
    padded = np.zeros((rows * BLOCK, columns * BLOCK), np.int64)
    padded[:height, :width] = mask
    sums = np.zeros((rows + 1, columns + 1), np.int64)
    sums[1:, 1:] = padded.reshape(rows, BLOCK, columns, BLOCK).sum(axis=(1, 3)).cumsum(axis=0).cumsum(axis=1)
    tall, wide = min(side // BLOCK, rows), min(side // BLOCK, columns)
    boxes = sums[tall:, wide:] - sums[:-tall, wide:] - sums[tall:, :-wide] + sums[:-tall, :-wide]
    best = np.argwhere(boxes == boxes.max())
    y, x = best[len(best) // 2].tolist()
    y0 = min(y * BLOCK, max(height - side, 0))
    x0 = min(x * BLOCK, max(width - side, 0))
    return y0, x0, min(y0 + side, height), min(x0 + side, width)


def box_window(boxes: NDArray[Any], shape: tuple[int, int], side: int) -> Window:
    """The window round the box whose neighbourhood holds most of the boxes' centres."""
    height, width = shape
    centres = np.column_stack([boxes[:, [1, 3]].mean(axis=1), boxes[:, [0, 2]].mean(axis=1)])
    near = (np.abs(centres[:, None] - centres[None]) <= side / 2).all(axis=-1).sum(axis=1)
    y, x = centres[int(near.argmax())]
    y0 = int(min(max(y - side / 2, 0), max(height - side, 0)))
    x0 = int(min(max(x - side / 2, 0), max(width - side, 0)))
    return y0, x0, min(y0 + side, height), min(x0 + side, width)


def inside(rows: NDArray[Any], window: Window) -> list[list[float]]:
    """Rows (x0, y0, x1, y1, ...) that touch the window, clipped to it, in its coordinates."""
    y0, x0, y1, x1 = window
    moved = rows.astype(np.float64).copy()
    moved[:, [0, 2]] = (moved[:, [0, 2]] - x0).clip(0, x1 - x0 - 1)
    moved[:, [1, 3]] = (moved[:, [1, 3]] - y0).clip(0, y1 - y0 - 1)
    touching = (rows[:, 2] > x0) & (rows[:, 0] < x1) & (rows[:, 3] > y0) & (rows[:, 1] < y1)
    kept: list[list[float]] = moved[touching].round(2).tolist()
    return kept


def unmatched(truth: NDArray[Any], pred: NDArray[Any], scores: NDArray[Any]) -> tuple[NDArray[np.bool_], int]:
    """Which objects no detection finds at IoU 0.5 (greedy by score), and how many detections find none."""
    missed = np.ones(len(truth), bool)
    false = 0
    for row in np.argsort(-scores, kind='stable'):
        overlap = np.minimum(truth[:, 2:], pred[row, 2:]) - np.maximum(truth[:, :2], pred[row, :2])
        shared = overlap.clip(min=0).prod(axis=1)
        areas = (truth[:, 2:] - truth[:, :2]).prod(axis=1) + (pred[row, 2:] - pred[row, :2]).prod()
        iou = np.where(missed, shared / np.maximum(areas - shared, 1e-9), 0.0)
        place = int(iou.argmax())
        if iou[place] >= MATCH_IOU:
            missed[place] = False
        else:
            false += 1
    return missed, false


def encode_labels(labels: NDArray[Any]) -> bytes:
    """An index mask as PNG; values outside 0…254 become 255."""
    from PIL import Image

    buffer = io.BytesIO()
    narrow = np.where((labels >= 0) & (labels < 255), labels, 255).astype(np.uint8)
    Image.fromarray(narrow).save(buffer, 'PNG')
    return buffer.getvalue()


def _best(
    entries: list[tuple[tuple[Any, ...], dict[str, Any]]], limit: int
) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """The first ``limit`` entries by key, every image once."""
    ordered: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {}
    for key, record in sorted(entries, key=lambda entry: entry[0]):
        ordered.setdefault(record['path'], (key, record))
    return list(ordered.values())[:limit]
