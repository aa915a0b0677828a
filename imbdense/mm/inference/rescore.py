"""From saved candidates to finished detections, by the host's own cuts and suppression, with any calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmcv.ops import batched_nms
from mmdet.models.layers import multiclass_nms
from mmdet.models.utils import filter_scores_and_topk
from mmengine.config import ConfigDict
from torch import Tensor

from imbdense.core.inference import BoxCandidates, ImageDetections, LogitCalibration
from imbdense.mm.inference.detection_head import HeadFacts

UNCUT = {'score_thr': 0.0, 'nms_pre': 10**9, 'max_per_img': 10**6, 'top_per_class': 1000}
"""Settings that cut nothing but what is beyond the best 1000 places of a class (suppression costs the square)."""


def finish_detections(
    candidates: BoxCandidates, facts: HeadFacts, calibration: LogitCalibration, **cut: Any
) -> ImageDetections:
    """The detections of one image after calibrating its logits, exactly as the host makes them.

    Args:
        cut: settings of ``facts.cut`` to replace (score_thr, max_per_img, ...); also ``top_per_class``, the places of
            each class that are looked at.

    Returns:
        boxes (D, 4), labels, scores, best first; detections below ``calibration.thresholds`` are dropped.
    """
    settings = ConfigDict({**facts.cut, **cut})
    logits = calibration.apply(torch.from_numpy(candidates.logits), use_sigmoid=facts.use_sigmoid)
    boxes = torch.from_numpy(candidates.boxes)
    scores = logits.sigmoid() if facts.use_sigmoid else logits.softmax(dim=-1)
    if len(logits) == 0:
        return ImageDetections(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32))
    if settings.get('top_per_class', len(scores)) < len(scores):
        least = scores.topk(settings.top_per_class, dim=0).values[-1]
        scores = torch.where(scores >= least, scores, 0.0)
    if facts.kind == 'roi':
        found, labels, values = _roi(boxes, scores, facts.use_sigmoid, settings)
    elif facts.kind == 'dense':
        found, labels, values = _dense(candidates, boxes, scores[:, : facts.num_classes], settings)
    else:
        found, labels, values = _query(boxes, scores[:, : facts.num_classes], facts.use_sigmoid, settings)
    if calibration.thresholds is not None:
        keep = values >= torch.tensor(calibration.thresholds, dtype=values.dtype)[labels]
        found, labels, values = found[keep], labels[keep], values[keep]
    return ImageDetections(found.numpy(), labels.numpy(), values.numpy())


def activated(candidates: BoxCandidates, facts: HeadFacts) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(A, C) class scores of all candidates, with the factor of the head."""
    logits = torch.from_numpy(candidates.logits)
    scores = logits.sigmoid() if facts.use_sigmoid else logits.softmax(dim=-1)[:, : facts.num_classes]
    values: np.ndarray[Any, np.dtype[np.float32]] = scores.numpy() * candidates.factor[:, None]
    return values


Found = tuple[Tensor, Tensor, Tensor]


def _roi(boxes: Tensor, scores: Tensor, use_sigmoid: bool, settings: ConfigDict) -> Found:
    """Two-stage heads: threshold, suppression per class, best ``max_per_img``."""
    # The host leaves the last column out as background; scores of one sigmoid per class have none.
    scores = torch.cat([scores, scores[:, :1]], dim=1) if use_sigmoid else scores
    dets, labels = multiclass_nms(boxes, scores, settings.score_thr, settings.nms, settings.max_per_img)
    return dets[:, :4], labels, dets[:, 4]


def _dense(candidates: BoxCandidates, boxes: Tensor, scores: Tensor, settings: ConfigDict) -> Found:
    """One-stage heads: threshold and best ``nms_pre`` per level, factor, suppression per class, ``max_per_img``."""
    level, factor = torch.from_numpy(candidates.level), torch.from_numpy(candidates.factor)
    parts = []
    for number in level.unique().tolist():
        rows = torch.nonzero(level == number).squeeze(1)
        values, labels, kept, _ = filter_scores_and_topk(
            scores[rows], settings.get('score_thr', 0), settings.get('nms_pre', -1)
        )
        parts.append((boxes[rows[kept]], labels, values * factor[rows[kept]]))
    found, labels, values = (torch.cat(column) for column in zip(*parts))
    if settings.get('min_bbox_size', -1) >= 0:
        size = found[:, 2:] - found[:, :2]
        keep = (size > settings.min_bbox_size).all(dim=1)
        found, labels, values = found[keep], labels[keep], values[keep]
    if found.numel() == 0:
        return found, labels, values
    dets, kept = batched_nms(found, values, labels, settings.nms)
    limit = settings.get('max_per_img', len(kept))
    return dets[:limit, :4], labels[kept][:limit], dets[:limit, 4]


def _query(boxes: Tensor, scores: Tensor, use_sigmoid: bool, settings: ConfigDict) -> Found:
    """DETR heads: the best ``max_per_img`` (sigmoid: of all pairs, softmax: of the queries' best classes)."""
    limit = settings.get('max_per_img', len(scores))
    if use_sigmoid:
        values, pairs = scores.reshape(-1).topk(min(limit, scores.numel()))
        rows, labels = pairs // scores.shape[1], pairs % scores.shape[1]
    else:
        best, classes = scores.max(dim=1)
        values, rows = best.topk(min(limit, len(best)))
        labels = classes[rows]
    keep = values > settings.get('score_thr', -1.0)  # the host has no threshold here; --score-thr sets one
    return boxes[rows[keep]], labels[keep], values[keep]


def finish_all(
    candidates: Sequence[BoxCandidates], facts: HeadFacts, calibration: LogitCalibration, **cut: Any
) -> list[ImageDetections]:
    """:func:`finish_detections` of many images."""
    return [finish_detections(one, facts, calibration, **cut) for one in candidates]
