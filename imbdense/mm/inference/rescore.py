"""From saved candidates to finished detections, by the host's own cuts and suppression, with any calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmcv.ops import batched_nms
from mmdet.models.dense_heads import PAAHead
from mmdet.models.layers import multiclass_nms
from mmdet.models.utils import filter_scores_and_topk
from mmengine.config import ConfigDict
from torch import Tensor

from imbdense.core.inference import BoxCandidates, ImageDetections, LogitCalibration
from imbdense.mm.inference.head_facts import HeadFacts

UNCUT = {'score_thr': 0.0, 'nms_pre': 10**9, 'max_per_img': 10**6, 'topk': 10**6, 'top_per_class': 1000}
"""Settings that cut nothing but what is beyond the best 1000 places of a class (suppression costs the square)."""


def finish_detections(
    candidates: BoxCandidates, facts: HeadFacts, calibration: LogitCalibration, *, masks: bool = False, **cut: Any
) -> ImageDetections:
    """The detections of one image after calibrating its logits, exactly as the host makes them.

    Args:
        masks: also give the mask IoU of every detection with the objects of its class.
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
        overlaps = np.zeros((0, len(candidates.objects.labels))) if masks else None
        nothing = np.zeros((0, 4), np.float32)
        return ImageDetections(nothing, np.zeros(0, np.int64), np.zeros(0, np.float32), overlaps)
    if settings.get('top_per_class', len(scores)) < len(scores):
        least = scores.topk(settings.top_per_class, dim=0).values[-1]
        scores = torch.where(scores >= least, scores, 0.0)
    finish = _FINISHERS[facts.kind]
    found, labels, values, rows = finish(candidates, facts, boxes, scores, settings)
    if calibration.thresholds is not None:
        keep = values >= torch.tensor(calibration.thresholds, dtype=values.dtype)[labels]
        found, labels, values, rows = found[keep], labels[keep], values[keep], rows[keep]
    overlaps = candidates.overlaps_of(rows.numpy(), labels.numpy()) if masks else None
    return ImageDetections(found.numpy(), labels.numpy(), values.numpy(), overlaps)


def activated(candidates: BoxCandidates, facts: HeadFacts) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(A, C) class scores of all candidates, with the factor of the head."""
    logits = torch.from_numpy(candidates.logits)
    scores = logits.sigmoid() if facts.use_sigmoid else logits.softmax(dim=-1)[:, : facts.num_classes]
    values: np.ndarray[Any, np.dtype[np.float32]] = _with_factor(scores, candidates, facts).numpy()
    return values


Found = tuple[Tensor, Tensor, Tensor, Tensor]
"""Boxes, labels, scores, and the place each is from."""


def _with_factor(scores: Tensor, candidates: BoxCandidates, facts: HeadFacts) -> Tensor:
    """(A, C) scores times the factor; PAA takes the geometric mean."""
    factor = torch.from_numpy(candidates.factor)
    product = scores * (factor if factor.ndim == 2 else factor[:, None])
    return product.sqrt() if facts.kind == 'paa' else product


def _roi(candidates: BoxCandidates, facts: HeadFacts, boxes: Tensor, scores: Tensor, settings: ConfigDict) -> Found:
    """Two-stage heads: threshold, suppression per class, best ``max_per_img``."""
    # The host leaves the last column out as background; scores of one sigmoid per class have none.
    scores = torch.cat([scores, scores[:, :1]], dim=1) if facts.use_sigmoid else scores
    dets, labels, pairs = multiclass_nms(
        boxes, scores, settings.score_thr, settings.nms, settings.max_per_img, return_inds=True
    )
    return dets[:, :4], labels, dets[:, 4], pairs // facts.num_classes


def _dense(candidates: BoxCandidates, facts: HeadFacts, boxes: Tensor, scores: Tensor, settings: ConfigDict) -> Found:
    """One-stage heads: threshold and best ``nms_pre`` per level, factor, suppression per class, ``max_per_img``."""
    scores = scores[:, : facts.num_classes]
    level, factor = torch.from_numpy(candidates.level), torch.from_numpy(candidates.factor)
    parts = []
    for number in level.unique().tolist():
        places = torch.nonzero(level == number).squeeze(1)
        values, labels, kept, _ = filter_scores_and_topk(
            scores[places], settings.get('score_thr', 0), settings.get('nms_pre', -1)
        )
        parts.append((labels, values * factor[places[kept]], places[kept]))
    labels, values, rows = (torch.cat(column) for column in zip(*parts))
    found = boxes[rows]
    if settings.get('min_bbox_size', -1) >= 0:
        size = found[:, 2:] - found[:, :2]
        keep = (size > settings.min_bbox_size).all(dim=1)
        found, labels, values, rows = found[keep], labels[keep], values[keep], rows[keep]
    return _suppressed(found, labels, values, rows, settings)


def _yolox(candidates: BoxCandidates, facts: HeadFacts, boxes: Tensor, scores: Tensor, settings: ConfigDict) -> Found:
    """YOLOX: the best class of each place, threshold on score times objectness, suppression per class."""
    best, labels = scores.max(dim=1)
    values = best * torch.from_numpy(candidates.factor)
    rows = torch.nonzero(values >= settings.score_thr).squeeze(1)
    return _suppressed(boxes[rows], labels[rows], values[rows], rows, settings)


def _paa(candidates: BoxCandidates, facts: HeadFacts, boxes: Tensor, scores: Tensor, settings: ConfigDict) -> Found:
    """PAA: best ``nms_pre`` places per level, threshold on the geometric mean with the IoU, suppression, voting."""
    values, level = _with_factor(scores, candidates, facts), torch.from_numpy(candidates.level)
    parts = []
    for number in level.unique().tolist():
        places = torch.nonzero(level == number).squeeze(1)
        if 0 < settings.get('nms_pre', -1) < len(places):
            places = places[values[places].amax(dim=1).topk(settings.nms_pre).indices]
        parts.append(places)
    rows = torch.cat(parts)
    near, values = boxes[rows], values[rows]
    dets, labels, pairs = multiclass_nms(
        near, F.pad(values, (0, 1)), settings.score_thr, settings.nms, settings.max_per_img, return_inds=True
    )
    rows = rows[pairs // facts.num_classes]
    if facts.voting and len(dets):
        # The host goes through the classes in turn, so its answer is ordered by class.
        order = torch.argsort(labels, stable=True)
        head = SimpleNamespace(cls_out_channels=facts.num_classes)
        dets, labels = PAAHead.score_voting(head, dets, labels, near, values, settings.score_thr)
        best = torch.argsort(dets[:, 4], descending=True, stable=True)
        dets, labels, rows = dets[best], labels[best], rows[order][best]
    return dets[:, :4], labels, dets[:, 4], rows


def _centernet(
    candidates: BoxCandidates, facts: HeadFacts, boxes: Tensor, scores: Tensor, settings: ConfigDict
) -> Found:
    """CenterNet: the ``topk`` best peaks of all classes."""
    values = _with_factor(scores, candidates, facts).reshape(-1)
    limit = min(settings.topk, settings.get('max_per_img', settings.topk), len(values))
    values, pairs = values.topk(limit)
    kept = values > settings.get('score_thr', 0.0)  # the host fills up with scores of 0; --score-thr sets a threshold
    rows, labels = pairs[kept] // facts.num_classes, pairs[kept] % facts.num_classes
    return boxes[rows], labels, values[kept], rows


def _suppressed(found: Tensor, labels: Tensor, values: Tensor, rows: Tensor, settings: ConfigDict) -> Found:
    """Suppression per class, then the best ``max_per_img``."""
    if found.numel() == 0:
        return found, labels, values, rows
    dets, kept = batched_nms(found, values, labels, settings.nms)
    limit = settings.get('max_per_img', len(kept))
    return dets[:limit, :4], labels[kept][:limit], dets[:limit, 4], rows[kept][:limit]


def _query(candidates: BoxCandidates, facts: HeadFacts, boxes: Tensor, scores: Tensor, settings: ConfigDict) -> Found:
    """DETR heads: the best ``max_per_img`` (sigmoid: of all pairs, softmax: of the queries' best classes)."""
    scores = scores[:, : facts.num_classes]
    limit = settings.get('max_per_img', len(scores))
    if facts.use_sigmoid:
        values, pairs = scores.reshape(-1).topk(min(limit, scores.numel()))
        rows, labels = pairs // scores.shape[1], pairs % scores.shape[1]
    else:
        best, classes = scores.max(dim=1)
        values, rows = best.topk(min(limit, len(best)))
        labels = classes[rows]
    keep = values > settings.get('score_thr', -1.0)  # the host has no threshold here; --score-thr sets one
    return boxes[rows[keep]], labels[keep], values[keep], rows[keep]


_FINISHERS: dict[str, Callable[..., Found]] = {
    'roi': _roi, 'dense': _dense, 'yolov3': _dense, 'yolox': _yolox, 'paa': _paa, 'centernet': _centernet,
    'query': _query,
}  # fmt: skip
"""Kind of a head -> (candidates, facts, boxes, scores, settings) -> detections."""


def finish_all(
    candidates: Sequence[BoxCandidates], facts: HeadFacts, calibration: LogitCalibration, *, masks: bool = False,
    **cut: Any,
) -> list[ImageDetections]:
    """:func:`finish_detections` of many images."""
    return [finish_detections(one, facts, calibration, masks=masks, **cut) for one in candidates]
