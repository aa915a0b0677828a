"""Anchors on the cells of a map seen from above, and which box each of them learns.

Yan et al.: SECOND: Sparsely Embedded Convolutional Detection. Sensors 2018.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

YAWS = (0.0, math.pi / 2)
"""Every anchor comes along and across."""


def anchor_grid(
    extent: Sequence[float], rows: int, columns: int, sizes: Sequence[Sequence[float]], heights: Sequence[float],
    yaws: Sequence[float] = YAWS,
) -> Tensor:  # fmt: skip
    """Return anchors in the middle of every cell, (rows, columns, C, len(yaws), 7).

    Args:
        extent: x_min, y_min, x_max, y_max in metres; rows run along y, columns along x.
        sizes: (C, 3) l, w, h of each class. heights: (C,) z of the centre.
    """
    x_min, y_min, x_max, y_max = extent
    x = x_min + (torch.arange(columns) + 0.5) * (x_max - x_min) / columns
    y = y_min + (torch.arange(rows) + 0.5) * (y_max - y_min) / rows
    anchors = torch.zeros(rows, columns, len(sizes), len(yaws), 7)
    anchors[..., 0], anchors[..., 1] = x[None, :, None, None], y[:, None, None, None]
    anchors[..., 2] = torch.as_tensor(list(heights), dtype=anchors.dtype)[:, None]
    anchors[..., 3:6] = torch.as_tensor([list(size) for size in sizes], dtype=anchors.dtype)[:, None]
    anchors[..., 6] = torch.as_tensor(list(yaws), dtype=anchors.dtype)
    return anchors


def upright_iou(first: Tensor, second: Tensor) -> Tensor:
    """Return the IoU from above of boxes turned to the nearer axis, (N, M): cheap, and what anchors are assigned by."""
    a, b = _upright(first), _upright(second)
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    shared = (torch.minimum(a[:, None, 2:], b[None, :, 2:]) - low).clamp_min(0).prod(dim=2)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(dim=1), (b[:, 2:] - b[:, :2]).prod(dim=1)
    union = area_a[:, None] + area_b[None] - shared
    return shared / union.clamp_min(torch.finfo(union.dtype).tiny)


@dataclass(frozen=True)
class Assignment:
    """What A anchors learn.

    Attributes:
        labels: (A,) int64: class, C = background, -1 = left out.
        matched: (A,) int64 index of the box, -1 where there is none.
    """

    labels: Tensor
    matched: Tensor


def assign_anchors(
    anchors: Tensor, anchor_labels: Tensor, boxes: Tensor, labels: Tensor, ignored: Tensor, num_classes: int,
    positive: Tensor, negative: Tensor,
) -> Assignment:  # fmt: skip
    """Give anchors to the boxes of their class.

    An anchor with an IoU (:func:`upright_iou`) of at least ``positive[c]`` learns the box it overlaps most; below
    ``negative[c]`` it learns background; between it is left out. The anchors that overlap a box most learn it whatever
    the overlap, as long as there is one. An anchor that overlaps an ignored box by ``negative[c]`` or more and learns
    no box is left out.

    Args:
        anchors: (A, 7). anchor_labels: (A,) int64 class of each.
        boxes: (M, 7). labels: (M,). ignored: (M, 7') boxes of any class that are neither object nor background.
        positive, negative: (C,) thresholds.
    """
    out = anchor_labels.new_full((len(anchors),), num_classes)
    matched = anchor_labels.new_full((len(anchors),), -1)
    if len(ignored):
        out[upright_iou(anchors, ignored).amax(dim=1) >= negative[anchor_labels]] = -1
    if len(boxes) == 0:
        return Assignment(out, matched)
    overlap = upright_iou(anchors, boxes)
    overlap = torch.where(anchor_labels[:, None] == labels[None], overlap, overlap.new_zeros(()))
    best, which = overlap.max(dim=1)
    out[best >= negative[anchor_labels]] = -1
    certain = best >= positive[anchor_labels]
    own_best = overlap.amax(dim=0)
    forced, box = ((overlap == own_best[None]) & (own_best > 0)[None]).nonzero(as_tuple=True)
    matched[certain] = which[certain]
    matched[forced] = box
    taken = matched >= 0
    out[taken] = labels[matched[taken]]
    return Assignment(out, matched)


def _upright(boxes: Tensor) -> Tensor:
    """(N, 4) x1, y1, x2, y2 of the boxes turned to the nearer axis."""
    across = ((boxes[:, 6] / (math.pi / 2)).round() % 2).bool()[:, None]
    half = torch.where(across, boxes[:, [4, 3]], boxes[:, [3, 4]]) / 2
    return torch.cat([boxes[:, :2] - half, boxes[:, :2] + half], dim=1)
