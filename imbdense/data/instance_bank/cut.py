"""Cut objects out of annotated images: boxes with or without masks, label maps, points. Arrays in, objects out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbdense.data.instance_bank.objects import BankObject, Source
from imbdense.data.regions import connected_regions

MARGIN = 2
"""Pixels of context kept around an object, which a soft border needs."""
LARGEST = 0.25
"""Regions whose window covers more than this share of the image are ground, not objects."""


def cut_instances(
    image: NDArray[Any],
    name: str,
    boxes: ArrayLike,
    labels: ArrayLike,
    masks: Sequence[NDArray[Any] | None] | None = None,
    scores: ArrayLike | None = None,
    *,
    source: Source = 'labelled',
    min_area: int = 1,
    margin: int = MARGIN,
) -> Iterator[BankObject]:
    """Yield the objects of one image.

    Args:
        image: (H, W, bands) of any number type.
        name: of the image.
        boxes: (n, 4) x1, y1, x2, y2 in pixels. An object with a mask gets the tight box of its mask instead.
        labels: (n,) class indices; leave ignored objects out.
        masks: n masks (H, W), or ``None`` for an object that has a box only.
        scores: (n,) in [0, 1]; default 1.
        source: ``'labelled'`` or ``'pseudo'``.
        min_area: objects of fewer pixels (mask, else box) are left out.
        margin: pixels of context around the box, as far as the image reaches.
    """
    box_rows = np.asarray(boxes, np.float64).reshape(-1, 4)
    label_row = np.asarray(labels, np.int64).reshape(-1)
    score_row = np.ones(len(label_row)) if scores is None else np.asarray(scores, np.float64).reshape(-1)
    limits = np.array([image.shape[1], image.shape[0]] * 2, np.float64)
    for number, raw in enumerate(np.clip(box_rows, 0, limits)):
        mask = None if masks is None or masks[number] is None else np.asarray(masks[number]) != 0
        box = tight_box(mask) if mask is not None else tuple(raw.tolist())
        if box is None or box[2] <= box[0] or box[3] <= box[1]:
            continue
        area = (box[2] - box[0]) * (box[3] - box[1]) if mask is None else int(mask.sum())
        if area < min_area:
            continue
        rows, columns = _window(box, image.shape[:2], margin)
        yield BankObject(
            np.ascontiguousarray(image[rows, columns]), int(label_row[number]), name, tuple(map(float, box)),
            float(score_row[number]), source, None if mask is None else mask[rows, columns].copy(),
            (rows.start, columns.start),
        )  # fmt: skip


def cut_regions(
    image: NDArray[Any],
    name: str,
    label: NDArray[np.integer],
    num_classes: int,
    scores: NDArray[np.floating[Any]] | None = None,
    *,
    source: Source = 'labelled',
    min_area: int | Sequence[int] = 16,
    margin: int = MARGIN,
) -> Iterator[BankObject]:
    """Yield the connected regions (eight neighbours) of every class of a label map.

    Values outside [0, ``num_classes``) (ignored pixels) belong to no region. Regions whose window covers more than a
    quarter of the image are left out: they are ground rather than objects.

    Args:
        image: (H, W, bands). label: (H, W) class indices.
        scores: (H, W) confidence per pixel in [0, 1]; a region's score is its mean. Default 1.
        min_area: smallest region in pixels, for all classes or one number per class.
        others: as for :func:`cut_instances`.
    """
    for klass, inner, across, inside in connected_regions(label, num_classes, min_area):
        if inside.size > LARGEST * label.size:
            continue
        box = (across.start, inner.start, across.stop, inner.stop)
        rows, columns = _window(box, label.shape, margin)
        mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), bool)
        top, left = inner.start - rows.start, across.start - columns.start
        mask[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
        score = 1.0 if scores is None else float(np.clip(scores[inner, across][inside].mean(), 0, 1))
        yield BankObject(
            np.ascontiguousarray(image[rows, columns]), klass, name, tuple(map(float, box)), score, source, mask,
            (rows.start, columns.start),
        )  # fmt: skip


def cut_points(
    points: NDArray[np.float32],
    name: str,
    boxes: ArrayLike,
    labels: ArrayLike,
    scores: ArrayLike | None = None,
    *,
    source: Source = 'labelled',
    min_points: int = 1,
) -> Iterator[BankObject]:
    """Yield the points (n, F) inside each box (x, y, z centre, length, width, height, yaw counter-clockwise about +z).

    Args:
        points: (N, F) float32, x, y, z first; kept in the coordinates of the scene.
        boxes: (m, 7). labels: (m,). scores: (m,), default 1.
        min_points: boxes with fewer points are left out.
    """
    box_rows = np.asarray(boxes, np.float64).reshape(-1, 7)
    label_row = np.asarray(labels, np.int64).reshape(-1)
    score_row = np.ones(len(label_row)) if scores is None else np.asarray(scores, np.float64).reshape(-1)
    for box, klass, score in zip(box_rows, label_row.tolist(), score_row.tolist()):
        shifted = points[:, :3] - box[:3]
        cosine, sine = np.cos(box[6]), np.sin(box[6])
        along = shifted[:, 0] * cosine + shifted[:, 1] * sine
        across = shifted[:, 1] * cosine - shifted[:, 0] * sine
        inside = (np.abs(along) <= box[3] / 2) & (np.abs(across) <= box[4] / 2) & (np.abs(shifted[:, 2]) <= box[5] / 2)
        if inside.sum() >= max(min_points, 1):
            yield BankObject(points[inside].astype(np.float32), klass, name, tuple(box.tolist()), score, source)


def tight_box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """x1, y1, x2, y2 of the true pixels, ends exclusive; ``None`` when there is none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _window(box: Sequence[float], shape: Sequence[int], margin: int) -> tuple[slice, slice]:
    """Rows and columns of the crop: the box with its margin, inside the image."""
    left, top = int(np.floor(box[0])) - margin, int(np.floor(box[1])) - margin
    right, bottom = int(np.ceil(box[2])) + margin, int(np.ceil(box[3])) + margin
    return slice(max(top, 0), min(bottom, shape[0])), slice(max(left, 0), min(right, shape[1]))
