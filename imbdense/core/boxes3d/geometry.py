"""Boxes in space: corners, enlarging, the frame of a box, points inside.

A box is (x, y, z, l, w, h, yaw): centre in metres, length along its heading, width across it, height; yaw in radians
counter-clockwise about +z, 0 = along +x. Boxes are float tensors (N, 7); further columns are not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

CELLS = 1 << 22
"""Box-point pairs that are compared at a time: about 100 MB of float32."""


def check_boxes(boxes: Tensor, name: str = 'boxes', owner: str = '') -> Tensor:
    """Return ``boxes`` if it is a floating tensor (N, >= 7); else ``ValueError`` that says what came."""
    if boxes.ndim != 2 or boxes.shape[1] < 7 or not boxes.is_floating_point():
        prefix = f'{owner}: ' if owner else ''
        raise ValueError(
            f'{prefix}{name} must be floating (N, 7) x, y, z, l, w, h, yaw, but has shape {tuple(boxes.shape)} and '
            f'type {boxes.dtype}.'
        )
    return boxes


def limit_angle(angle: Tensor, period: float = 2 * math.pi) -> Tensor:
    """Return ``angle`` moved by whole periods into [-period / 2, period / 2)."""
    return angle - torch.floor(angle / period + 0.5) * period


def bev_corners(boxes: Tensor) -> Tensor:
    """Return the corners in the ground plane, (N, 4, 2): front left, rear left, rear right, front right
    (counter-clockwise)."""
    half = check_boxes(boxes)[:, 3:5] / 2
    signs = boxes.new_tensor([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    return turn_vectors(half[:, None] * signs, boxes[:, 6, None]) + boxes[:, None, :2]


def corners(boxes: Tensor) -> Tensor:
    """Return all corners, (N, 8, 3): the four of :func:`bev_corners` at the bottom, then at the top."""
    ground = bev_corners(boxes).repeat(1, 2, 1)
    half = (boxes[:, 5] / 2)[:, None] * boxes.new_tensor([-1.0] * 4 + [1.0] * 4)
    return torch.cat([ground, (boxes[:, 2, None] + half)[..., None]], dim=2)


def enlarge(boxes: Tensor, margin: Sequence[float]) -> Tensor:
    """Return boxes whose length, width and height grow by ``margin`` (three numbers, metres in total) round the centre.

    A size that would become negative is 0.
    """
    if len(margin) != 3:
        raise ValueError(f'enlarge: margin must be three numbers (length, width, height), but got {list(margin)}.')
    grown = check_boxes(boxes).clone()
    grown[:, 3:6] = (grown[:, 3:6] + grown.new_tensor(list(margin))).clamp_min(0)
    return grown


def to_box_frame(points: Tensor, boxes: Tensor) -> Tensor:
    """Return points (N, >= 3) as seen from each box (M, 7), (M, N, 3): along its length, across it, up."""
    shifted = points[None, :, :3] - check_boxes(boxes)[:, None, :3]
    return torch.cat([turn_vectors(shifted[..., :2], -boxes[:, 6, None]), shifted[..., 2:]], dim=2)


def points_in_boxes(points: Tensor, boxes: Tensor, chunk: int = CELLS) -> Tensor:
    """Return which points lie in which boxes, bool (M, N); on the surface counts as inside.

    Args:
        points: (N, >= 3), x, y, z first. boxes: (M, 7). Either may be empty.
        chunk: pairs compared at a time, which bounds the memory (24 bytes each) beside the result.
    """
    check_boxes(boxes)
    inside = torch.zeros(len(boxes), len(points), dtype=torch.bool, device=points.device)
    step = max(chunk // max(len(points), 1), 1)
    for start in range(0, len(boxes), step):
        part = boxes[start : start + step]
        # Half sizes are compared in the frame of the box; the usual point is outside along x or y already.
        inside[start : start + step] = (to_box_frame(points, part).abs() <= part[:, None, 3:6] / 2).all(dim=2)
    return inside


def points_in_any_box(points: Tensor, boxes: Tensor, chunk: int = CELLS) -> Tensor:
    """Return which points lie in at least one box, bool (N,). Memory does not grow with the number of boxes."""
    check_boxes(boxes)
    inside = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    for index, box in enumerate(boxes):
        radius = (box[3:5] / 2).norm()
        near = ((points[:, :2] - box[:2]).abs() <= radius).all(dim=1).nonzero()[:, 0]
        if len(near):
            inside[near] |= points_in_boxes(points[near], boxes[index : index + 1], chunk)[0]
    return inside


def turn_vectors(vectors: Tensor, angle: Tensor) -> Tensor:
    """Return (..., 2) vectors turned counter-clockwise by ``angle`` (...)."""
    cosine, sine = angle.cos(), angle.sin()
    x, y = vectors[..., 0], vectors[..., 1]
    return torch.stack([x * cosine - y * sine, x * sine + y * cosine], dim=-1)
