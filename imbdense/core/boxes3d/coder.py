"""Boxes as offsets from anchors, and the loss of the offsets.

Yan et al.: SECOND: Sparsely Embedded Convolutional Detection. Sensors 2018.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from imbdense.core.boxes3d.geometry import limit_angle

LARGEST_LOG = 4.0
"""Sizes are decoded up to e^4 times those of the anchor: an untrained network must not give infinite boxes."""


def encode_boxes(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Return what turns anchor i into box i, (N, 7)::

        (x - x_a) / d, (y - y_a) / d, (z - z_a) / h_a, log l / l_a, log w / w_a, log h / h_a, yaw - yaw_a
        d = sqrt(l_a^2 + w_a^2)

    Sizes must be positive.
    """
    diagonal = anchors[:, 3:5].norm(dim=1, keepdim=True)
    ground = (boxes[:, :2] - anchors[:, :2]) / diagonal
    height = (boxes[:, 2:3] - anchors[:, 2:3]) / anchors[:, 5:6]
    return torch.cat([ground, height, (boxes[:, 3:6] / anchors[:, 3:6]).log(), boxes[:, 6:7] - anchors[:, 6:7]], dim=1)


def decode_boxes(offsets: Tensor, anchors: Tensor) -> Tensor:
    """Return the boxes of :func:`encode_boxes`, (N, 7)."""
    diagonal = anchors[:, 3:5].norm(dim=1, keepdim=True)
    ground = offsets[:, :2] * diagonal + anchors[:, :2]
    height = offsets[:, 2:3] * anchors[:, 5:6] + anchors[:, 2:3]
    size = offsets[:, 3:6].clamp(-LARGEST_LOG, LARGEST_LOG).exp() * anchors[:, 3:6]
    return torch.cat([ground, height, size, offsets[:, 6:7] + anchors[:, 6:7]], dim=1)


def box_offset_loss(pred: Tensor, target: Tensor, beta: float = 1 / 9) -> Tensor:
    """Return the smooth L1 loss of each offset, (N, 7), the yaw by the sine of its difference.

    |sin(yaw - yaw_t)| is the same for a box and the same box turned by 180 degrees, which cover the same ground; which
    way it heads is a class of its own (:func:`direction_class`).

    Args:
        pred, target: (N, 7) offsets. beta: > 0, where the loss turns from quadratic to linear.
    """
    difference = torch.cat([pred[:, :6] - target[:, :6], (pred[:, 6:] - target[:, 6:]).sin()], dim=1)
    size = difference.abs()
    return torch.where(size < beta, 0.5 * size * size / beta, size - 0.5 * beta)


def direction_class(yaw: Tensor) -> Tensor:
    """Return 0 for headings in [-pi/4, 3 pi/4) and 1 for the opposite half circle, int64.

    The border lies between the axes, so that what drives along or across the road is far from it.
    """
    from_middle = limit_angle(yaw - math.pi / 4)
    return ((from_middle < -math.pi / 2) | (from_middle >= math.pi / 2)).long()


def with_direction(yaw: Tensor, direction: Tensor) -> Tensor:
    """Return ``yaw`` or ``yaw + pi``, whichever has the class ``direction``, in [-pi, pi)."""
    turned = torch.where(direction_class(yaw) == direction, yaw, yaw + math.pi)
    return limit_angle(turned)
