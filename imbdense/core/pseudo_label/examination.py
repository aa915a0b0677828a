"""CDE, cross-domain examination: is a pseudo-label still found when it is moved into a labelled image?

The model that made the pseudo-labels of an unlabelled image looks at them once more, alone, among surroundings it was
trained on. What it finds again is reliable. Chen et al.: Revisiting Domain-Adaptive 3D Object Detection by Reliable,
Diverse and Class-balanced Pseudo-Labeling. ICCV 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from torch import Tensor, from_numpy

from imbdense.core.checks import check_number
from imbdense.core.pseudo_label.arrays import to_numpy

Floats = NDArray[np.float64]
Image = NDArray[Any] | Tensor


def accept(
    overlaps: ArrayLike | Tensor,
    iou_thr: float = 0.5,
    *,
    pred_labels: ArrayLike | Tensor | None = None,
    pseudo_labels: ArrayLike | Tensor | None = None,
    class_aware: bool = True,
    unique: bool = True,
) -> NDArray[np.bool_]:
    """Return which of M pseudo-labels the P predictions on the examined scene confirm, (M,) bool.

    Only overlaps are looked at, so boxes in the image, boxes in space and regions are examined alike. As published
    (``class_aware=False, unique=False``) every prediction confirms the pseudo-label it overlaps most, if by at least
    ``iou_thr``; several may confirm the same one, and then a neighbour that each of them overlaps a little less stays
    unconfirmed. With ``unique`` predictions and pseudo-labels are paired one to one, the largest overlap first.

    Args:
        overlaps: (P, M) IoU in [0, 1] of predictions and pseudo-labels. Without predictions all are rejected, without
            pseudo-labels the result is empty.
        iou_thr: in (0, 1]; published: 0.5, and 0.7 for Waymo -> KITTI.
        pred_labels, pseudo_labels: (P,) and (M,) classes, needed with ``class_aware``.
        class_aware: a prediction only confirms pseudo-labels of its own class.
        unique: one to one. Of equal overlaps the first prediction, then the first pseudo-label.

    Raises:
        ValueError: shapes disagree, overlaps that are not finite, or labels are missing.
    """
    check_number('iou_thr', iou_thr, low=0.0, high=1.0, low_open=True, owner='accept')
    table = to_numpy(overlaps).astype(np.float64)
    if table.ndim != 2 or not np.isfinite(table).all():
        raise ValueError(
            f'accept: overlaps must be a finite (predictions, pseudo-labels) matrix, but has shape {table.shape} and '
            f'{int((~np.isfinite(table)).sum())} values that are not finite.'
        )
    if class_aware:
        table = np.where(_same_class(table, pred_labels, pseudo_labels), table, 0.0)
    accepted = np.zeros(table.shape[1], dtype=bool)
    if table.size == 0:
        return accepted
    if unique:
        return _one_to_one(table, iou_thr, accepted)
    best = table.argmax(axis=1)
    accepted[best[table.max(axis=1) >= iou_thr]] = True
    return accepted


def _same_class(
    table: Floats, pred_labels: ArrayLike | Tensor | None, pseudo_labels: ArrayLike | Tensor | None
) -> NDArray[np.bool_]:
    """(P, M): both are of one class."""
    if pred_labels is None or pseudo_labels is None:
        raise ValueError('accept: class_aware=True needs pred_labels and pseudo_labels; or set class_aware=False.')
    rows, columns = to_numpy(pred_labels), to_numpy(pseudo_labels)
    if (rows.size, columns.size) != table.shape:
        raise ValueError(
            f'accept: overlaps are {table.shape}, but there are {rows.size} pred_labels and {columns.size} '
            f'pseudo_labels.'
        )
    same: NDArray[np.bool_] = rows.reshape(-1, 1) == columns.reshape(1, -1)
    return same


def _one_to_one(table: Floats, iou_thr: float, accepted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pair greedily, the largest overlap first."""
    rows, columns = np.nonzero(table >= iou_thr)
    free = np.ones(table.shape[0], dtype=bool)
    for pair in np.argsort(-table[rows, columns], kind='stable'):
        if free[rows[pair]] and not accepted[columns[pair]]:
            free[rows[pair]] = False
            accepted[columns[pair]] = True
    return accepted


@dataclass(frozen=True)
class ExaminedScene:
    """A labelled image with the pseudo-labels of another one in it.

    Attributes:
        image: as the labelled image: library, dtype, device and layout.
        boxes: (M, 4) float64 x1, y1, x2, y2, where each pseudo-label lies now; compare predictions with these.
        regions: (H, W) int64, 0 = none, i + 1 = pseudo-label i; ``None`` when boxes were moved.
    """

    image: Image
    boxes: Floats
    regions: NDArray[np.int64] | None


def paste_regions_for_examination(
    image: Image,
    host: Image,
    boxes: ArrayLike | Tensor | None = None,
    *,
    regions: ArrayLike | Tensor | None = None,
    host_boxes: ArrayLike | Tensor | None = None,
    host_mask: ArrayLike | Tensor | None = None,
    clear_boxes: bool = True,
    channels_last: bool = True,
) -> ExaminedScene:
    """Move the pseudo-labels of ``image`` into the labelled image ``host``, whose own objects are deleted first.

    1. Everything under ``host_boxes`` and ``host_mask``, and the boxes the pseudo-labels will lie in, get the mean
       colour of ``host``.
    2. Each pseudo-label is copied with its size kept, its centre at the same *relative* position; between images of
       one size that is the same place. What would stick out is moved inside, what is larger than ``host`` is cut.
       Where two come to lie on each other the later one is on top.

    Args:
        image, host: (H, W, C), or (C, H, W) with ``channels_last=False``; numpy or torch, one dtype, C equal, sizes
            may differ. Neither is changed.
        boxes: (M, 4) x1, y1, x2, y2 in pixels of ``image``. Every pixel they touch is copied. One without area or
            outside the image moves nothing and can not be confirmed later.
        regions: instead of ``boxes`` an integer map (H, W) of ``image``: 0 = none, i + 1 = pseudo-label i. Exactly
            those pixels are copied.
        host_boxes: (G, 4) annotated boxes of ``host``. host_mask: (H, W) bool, annotated pixels of ``host``.
        clear_boxes: delete what is in the *boxes* of moved regions. Without it regions that reach round others (a
            road) leave the scene between them.

    Raises:
        ValueError: neither or both of ``boxes`` and ``regions``, or shapes and dtypes that do not fit.
    """
    if (boxes is None) == (regions is None):
        raise ValueError('paste_regions_for_examination: give either boxes or regions.')
    source, scene = _as_last(image, channels_last), _as_last(host, channels_last).copy()
    if source.shape[2] != scene.shape[2] or source.dtype != scene.dtype:
        raise ValueError(
            f'paste_regions_for_examination: image and host must have equal channels and dtype, but are '
            f'{source.shape} {source.dtype} and {scene.shape} {scene.dtype} (channels last). Is channels_last right?'
        )
    marks = None if regions is None else _marks(regions, source)
    places = _region_boxes(marks) if marks is not None else to_numpy(boxes).astype(np.float64).reshape(-1, 4)
    windows = [_Window.of(place, source.shape, scene.shape) for place in places]
    _delete(scene, host_boxes, host_mask, windows if clear_boxes else [])
    moved = None if marks is None else np.zeros(scene.shape[:2], dtype=np.int64)
    for index, window in enumerate(windows):
        target, pixels = scene[window.target], source[window.source]
        if marks is None or moved is None:
            target[...] = pixels
        else:
            own = marks[window.source] == index + 1
            target[own] = pixels[own]
            moved[window.target][own] = index + 1
    shifts = np.array([window.shift for window in windows], dtype=np.float64).reshape(-1, 4)
    placed = np.clip(places + shifts, 0, (scene.shape[1], scene.shape[0]) * 2)
    return ExaminedScene(_like(host, scene, channels_last), placed, moved)


@dataclass(frozen=True)
class _Window:
    """Slices of a pseudo-label in both images, and (dx, dy, dx, dy) between them."""

    source: tuple[slice, slice]
    target: tuple[slice, slice]
    shift: tuple[int, int, int, int]

    @classmethod
    def of(cls, box: Floats, source: tuple[int, ...], target: tuple[int, ...]) -> _Window:
        """Place one box of an image of shape ``source`` into one of shape ``target``."""
        rows, row_target, dy = _place(box[1], box[3], source[0], target[0])
        columns, column_target, dx = _place(box[0], box[2], source[1], target[1])
        return cls((rows, columns), (row_target, column_target), (dx, dy, dx, dy))


def _place(low: float, high: float, size: int, target: int) -> tuple[slice, slice, int]:
    """One axis: the pixels touched, where they go, and the shift."""
    first, last = (int(np.clip(edge, 0, size)) for edge in (np.floor(low), np.ceil(high)))
    last = max(first, last)
    shift = int(np.rint((low + high) / 2 * (target / size - 1)))
    shift = max(min(shift, target - last), -first)
    last = min(last, target - shift)
    return slice(first, last), slice(first + shift, last + shift), shift


def _delete(
    scene: NDArray[Any], boxes: ArrayLike | Tensor | None, mask: ArrayLike | Tensor | None, windows: list[_Window]
) -> None:
    """Fill the annotated places and the windows with the mean colour, in place."""
    mean = scene.reshape(-1, scene.shape[2]).mean(axis=0, dtype=np.float64)
    colour = (np.rint(mean) if np.issubdtype(scene.dtype, np.integer) else mean).astype(scene.dtype)
    if mask is not None:
        deleted = to_numpy(mask).astype(bool)
        if deleted.shape != scene.shape[:2]:
            raise ValueError(
                f'paste_regions_for_examination: host_mask must be {scene.shape[:2]}, but is {deleted.shape}.'
            )
        scene[deleted] = colour
    for box in [] if boxes is None else to_numpy(boxes).reshape(-1, 4):
        own = _Window.of(box, scene.shape, scene.shape)
        scene[own.target] = colour
    for window in windows:
        scene[window.target] = colour


def _marks(regions: ArrayLike | Tensor, image: NDArray[Any]) -> NDArray[np.int64]:
    """The region map as int64, checked."""
    marks = to_numpy(regions).astype(np.int64)
    if marks.shape != image.shape[:2] or marks.min(initial=0) < 0:
        raise ValueError(
            f'paste_regions_for_examination: regions must be a map of integers >= 0 of shape {image.shape[:2]}, but '
            f'has shape {marks.shape} and minimum {marks.min(initial=0)}.'
        )
    return marks


def _region_boxes(marks: NDArray[np.int64]) -> Floats:
    """(M, 4) boxes round the regions; zeros for an index without pixels."""
    found = ndimage.find_objects(marks)
    edges = [(0, 0, 0, 0) if at is None else (at[1].start, at[0].start, at[1].stop, at[0].stop) for at in found]
    return np.array(edges, dtype=np.float64).reshape(-1, 4)


def _as_last(image: Image, channels_last: bool) -> NDArray[Any]:
    """A numpy view (H, W, C)."""
    array = to_numpy(image)
    if array.ndim != 3:
        raise ValueError(f'paste_regions_for_examination: images must have three dimensions, but got {array.shape}.')
    return array if channels_last else np.moveaxis(array, 0, -1)


def _like(host: Image, scene: NDArray[Any], channels_last: bool) -> Image:
    """The scene in the layout and library of ``host``."""
    array = np.ascontiguousarray(scene if channels_last else np.moveaxis(scene, -1, 0))
    return from_numpy(array).to(host) if isinstance(host, Tensor) else array
