"""OBC, overlapped boxes counting: how often the model sees an object is a cheap measure of how ordinary it is.

A detector proposes many overlapping boxes for an object of a familiar shape and few for an unusual one, and the counts
of all classes live on one scale. Chen et al.: Revisiting Domain-Adaptive 3D Object Detection by Reliable, Diverse and
Class-balanced Pseudo-Labeling. ICCV 2023.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from torch import Tensor, from_numpy

from imbdense.core.checks import check_integer, check_number
from imbdense.core.overlaps import box_iou, region_iou
from imbdense.core.pseudo_label.arrays import to_numpy

BoxOverlap = Callable[[Any, Any], Any]
"""(n, D) and (m, D) boxes of the kind that was given -> (n, m) IoU, numpy or torch."""

CHUNK = 256
"""Boxes compared at a time: 256 x 1024 overlaps are two megabytes."""


def overlapped_box_count(
    boxes: NDArray[Any] | Tensor,
    proposals: NDArray[Any] | Tensor,
    scores: ArrayLike | Tensor,
    iou_thr: float = 0.3,
    topk: int = 1024,
    *,
    iou: BoxOverlap = box_iou,
) -> NDArray[np.int64]:
    """Return how many of the ``topk`` best proposals overlap each box by more than ``iou_thr``::

        OBC(p) = #{ k in top-1024 by score, before NMS : IoU(p, proposal_k) > 0.3 }

    The classes of the proposals do not matter. A proposal whose coordinates are all zero is padding: it never counts
    and takes no place among the best. Of equal scores the earlier proposal is better.

    Args:
        boxes: (n, D), numpy or torch on any device; n may be 0.
        proposals: (K, D) of the same kind, before non-maximum suppression; K may be 0.
        scores: (K,), or (K, C) of which the largest counts.
        iou_thr: in [0, 1]; the overlap must be above.
        topk: >= 1.
        iou: the IoU of the boxes; default axis-parallel boxes x1, y1, x2, y2. For boxes in space give the bird's-eye
            one. It is called with at most :data:`CHUNK` boxes and gets what was given: tensors stay on their device.

    Returns:
        (n,) int64 in [0, topk].

    Raises:
        ValueError: shapes disagree, scores that are not finite, or ``iou`` returns another shape.
    """
    owner = 'overlapped_box_count'
    check_number('iou_thr', iou_thr, low=0.0, high=1.0, owner=owner)
    check_integer('topk', topk, low=1, owner=owner)
    best = _best(proposals, scores, topk)
    counts = np.zeros(len(boxes), dtype=np.int64)
    if len(best) == 0:
        return counts
    for start in range(0, len(boxes), CHUNK):
        part = boxes[start : start + CHUNK]
        overlaps = to_numpy(iou(part, best))
        if overlaps.shape != (len(part), len(best)):
            raise ValueError(f'{owner}: iou must return {(len(part), len(best))}, but returned {overlaps.shape}.')
        counts[start : start + CHUNK] = (overlaps > iou_thr).sum(axis=1)
    return counts


def _best(proposals: NDArray[Any] | Tensor, scores: ArrayLike | Tensor, topk: int) -> NDArray[Any] | Tensor:
    """The proposals with the highest scores, padding left out."""
    values = to_numpy(scores).astype(np.float64)
    if values.ndim == 2:
        values = values.max(axis=1, initial=-np.inf)
    if values.shape != (len(proposals),):
        raise ValueError(
            f'overlapped_box_count: there are {len(proposals)} proposals but scores of shape {np.shape(scores)}; '
            f'expected (K,) or (K, C).'
        )
    if not np.isfinite(values).all():
        raise ValueError('overlapped_box_count: scores must be finite. Did the detector diverge?')
    if len(proposals) == 0:
        return proposals
    filled = np.flatnonzero((to_numpy(proposals) != 0).any(axis=1))
    order = filled[np.argsort(-values[filled], kind='stable')[:topk]]
    return proposals[from_numpy(order).to(proposals.device)] if isinstance(proposals, Tensor) else proposals[order]


def overlapped_region_count(
    regions: ArrayLike, classes: ArrayLike, passes: ArrayLike, iou_thr: float = 0.3
) -> NDArray[np.int64]:
    """Return in how many of K augmented passes each region is found again, (R,) int64 in [0, K].

    The form of OBC for segmentation, where nothing is proposed: a pass counts when one of its connected components of
    the region's class has an IoU above ``iou_thr`` with the region. Pixels touch over corners, too.

    Args:
        regions: (*spatial) integers; 0 = no region, i + 1 = region i.
        classes: (R,) class of each region; at least as many as are in the map. A region without pixels counts 0.
        passes: (K, *spatial) predicted class of every pixel, already turned back into the frame of ``regions``. A
            value that is no region's class (an ignore value) is never found.
        iou_thr: in [0, 1]; the overlap must be above.

    Raises:
        ValueError: shapes disagree, or the map holds more regions than ``classes``.
    """
    owner = 'overlapped_region_count'
    check_number('iou_thr', iou_thr, low=0.0, high=1.0, owner=owner)
    own, labels, predicted = np.asarray(regions), np.asarray(classes), np.asarray(passes)
    if predicted.shape[1:] != own.shape or labels.ndim != 1:
        raise ValueError(
            f'{owner}: expected regions (*spatial), classes (R,) and passes (K, *spatial), but got {own.shape}, '
            f'{labels.shape} and {predicted.shape}.'
        )
    if own.max(initial=0) > labels.size:
        raise ValueError(f'{owner}: the map holds region {own.max()} but there are {labels.size} classes.')
    counts = np.zeros(labels.size, dtype=np.int64)
    neighbours = np.ones((3,) * own.ndim)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        members = members[members < own.max(initial=0)]
        for predicted_map in predicted:
            components, _ = ndimage.label(predicted_map == label, structure=neighbours)
            counts[members] += (region_iou(own, components)[members] > iou_thr).any(axis=1)
    return counts
