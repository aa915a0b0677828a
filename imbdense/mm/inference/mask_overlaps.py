"""How well the masks that a mask head would give to every candidate cover the objects of its image."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData
from numpy.typing import NDArray
from torch import nn

from imbdense.core.inference import BoxCandidates
from imbdense.mm.metrics.coco_matches import compressed

CHUNK = 100
"""Masks made in one call of the mask head."""
LEAST = 0.5
"""IoU below which no threshold of AP looks."""

Floats = NDArray[np.float32]
PredictMasks = Callable[[Floats, NDArray[np.int64]], NDArray[np.bool_]]


def predicts_masks(roi_head: Any) -> bool:
    """Whether masks follow from box, class and features alone and leave the scores as they are (Mask and Cascade Mask
    R-CNN, PointRend; not HTC, whose masks need more, nor Mask Scoring R-CNN, which has a second score)."""
    if not getattr(roi_head, 'with_mask', False) or hasattr(roi_head, 'mask_iou_head'):
        return False
    names = list(inspect.signature(roi_head.predict_mask).parameters)
    return names == ['x', 'batch_img_metas', 'results_list', 'rescale']


@contextlib.contextmanager
def listen_masks(model: nn.Module) -> Iterator[PredictMasks]:
    """While open: yields a function (boxes (n, 4) in pixels of the image file, labels (n,)) -> masks (n, H, W) of the
    file's size, made by the model's own mask head from the features of the image predicted last."""
    roi_head: Any = model.roi_head
    original = roi_head.predict_mask
    heard: list[tuple[Any, Any]] = []

    def predict_mask(x: Any, batch_img_metas: Any, results_list: Any, rescale: bool = False) -> Any:
        heard[:] = [(x, batch_img_metas)]
        return original(x, batch_img_metas, results_list, rescale=rescale)

    @torch.no_grad()
    def predict(boxes: Floats, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        features, metas = heard[0]
        scale = features[0].new_tensor([*metas[0]['scale_factor']] * 2)
        device = features[0].device
        asked = InstanceData(
            bboxes=torch.from_numpy(boxes).to(device) * scale, labels=torch.from_numpy(labels).to(device),
            scores=features[0].new_ones(len(labels)),
        )  # fmt: skip
        masks: NDArray[np.bool_] = original(features, metas, [asked], rescale=True)[0].masks.cpu().numpy()
        return masks

    object.__setattr__(roi_head, 'predict_mask', predict_mask)
    try:
        yield predict
    finally:
        roi_head.__dict__.pop('predict_mask', None)


def mask_overlaps(
    candidates: BoxCandidates, truth: Sequence[Any], size: tuple[int, int], predict: PredictMasks
) -> Floats:
    """``mask_iou`` of :class:`BoxCandidates`: (P, 3) place, object, IoU.

    A mask lies in its box. So only a box that holds half of an object's mask can reach an IoU of 0.5 with it, and only
    of these places (for crowds: of all that touch them) the mask is made.

    Args:
        truth: segmentation of each object, polygons or RLE. size: (height, width) of the image file.
    """
    from pycocotools import mask as coco

    shapes = [compressed(one, size) for one in truth]
    labels, ignored = candidates.objects.labels, candidates.objects.ignored
    wanted: dict[int, set[int]] = {}
    for shape, label, soft in zip(shapes, labels.tolist(), ignored.tolist()):
        inside, area = _held(coco.decode(shape), _boxes_of(candidates, label))
        wanted.setdefault(label, set()).update(np.flatnonzero(inside > (0 if soft else LEAST * area - 1e-9)).tolist())
    found = []
    for label, places in wanted.items():
        own = np.flatnonzero(labels == label)
        rows = np.array(sorted(places), dtype=np.int64)
        for part in (rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)):
            masks = predict(_boxes_of(candidates, label)[part], np.full(len(part), label))
            overlaps = masks_with_objects(masks, [shapes[g] for g in own], ignored[own])
            row, column = np.nonzero(overlaps > 0)
            found.append(np.stack([part[row], own[column], overlaps[row, column]], axis=1))
    return np.concatenate([np.zeros((0, 3)), *found]).astype(np.float32)


def masks_with_objects(
    masks: NDArray[np.bool_], shapes: Sequence[Any], ignored: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """(n, G) IoU of masks (n, H, W) with the compressed RLE of objects; with crowds over the area of the mask."""
    from pycocotools import mask as coco

    coded = coco.encode(np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8)))
    found = coco.iou(coded, list(shapes), ignored.astype(np.uint8).tolist())
    return np.asarray(found, dtype=np.float64).reshape(len(masks), len(shapes))


def _boxes_of(candidates: BoxCandidates, label: int) -> Floats:
    """(A, 4) boxes of the places as detections of a class."""
    boxes = candidates.boxes
    return boxes if boxes.shape[1] == 4 else boxes[:, 4 * label : 4 * label + 4]


def _held(mask: NDArray[np.uint8], boxes: Floats) -> tuple[NDArray[np.int64], int]:
    """(A,) pixels of the mask inside each box widened by a pixel, and all its pixels."""
    sums = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), dtype=np.int64)
    sums[1:, 1:] = mask.astype(np.int64).cumsum(axis=0).cumsum(axis=1)
    x1, y1 = (np.floor(boxes[:, axis]) - 1 for axis in (0, 1))
    x2, y2 = (np.ceil(boxes[:, axis]) + 1 for axis in (2, 3))
    left, right = (edge.clip(0, mask.shape[1]).astype(np.int64) for edge in (x1, x2))
    top, bottom = (edge.clip(0, mask.shape[0]).astype(np.int64) for edge in (y1, y2))
    return sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left], int(sums[-1, -1])
