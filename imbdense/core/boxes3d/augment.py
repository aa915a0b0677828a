"""Mirror, turn, scale and shift a scene: its points and its boxes."""

from __future__ import annotations

import math

from torch import Tensor

from imbdense.core.boxes3d.geometry import check_boxes, limit_angle, turn_vectors

Scene = tuple[Tensor, Tensor]
"""Points (N, >= 3) and boxes (M, 7)."""


def mirror(points: Tensor, boxes: Tensor, axis: str) -> Scene:
    """Return both mirrored at the ``axis`` 'x' (left and right change sides) or 'y' (front and rear)."""
    if axis not in ('x', 'y'):
        raise ValueError(f"mirror: axis must be 'x' or 'y', but got {axis!r}.")
    moved, turned = points.clone(), check_boxes(boxes).clone()
    column = 1 if axis == 'x' else 0
    moved[:, column] *= -1
    turned[:, column] *= -1
    turned[:, 6] = limit_angle(-turned[:, 6] if axis == 'x' else math.pi - turned[:, 6])
    return moved, turned


def rotate(points: Tensor, boxes: Tensor, angle: float) -> Scene:
    """Return both turned by ``angle`` radians counter-clockwise about the origin."""
    moved, turned = points.clone(), check_boxes(boxes).clone()
    moved[:, :2] = turn_vectors(points[:, :2], points.new_tensor(angle))
    turned[:, :2] = turn_vectors(boxes[:, :2], boxes.new_tensor(angle))
    turned[:, 6] = limit_angle(turned[:, 6] + angle)
    return moved, turned


def rescale(points: Tensor, boxes: Tensor, factor: float) -> Scene:
    """Return both scaled by ``factor`` > 0 about the origin, sizes included."""
    moved, turned = points.clone(), check_boxes(boxes).clone()
    moved[:, :3] *= factor
    turned[:, :6] *= factor
    return moved, turned
