"""ROS, random object scaling: objects of the source get sizes the target may have.

Yang et al.: ST3D: Self-training for Unsupervised Domain Adaptation on 3D Object Detection. CVPR 2021; ranges per class
from Chen et al.: ReDB. ICCV 2023.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.boxes3d.geometry import check_boxes, points_in_boxes
from imbdense.core.boxes3d.overlap import bev_iou

CANDIDATES = 50
"""Factors that are tried for an object, as published."""


def scale_box(box: Tensor, factor: float | Tensor) -> Tensor:
    """Return boxes (..., 7) whose length, width and height are multiplied by ``factor`` (scalar, or (...)); the centre
    rises by half of what the height gains, so the object stands where it stood."""
    by = torch.as_tensor(factor, dtype=box.dtype, device=box.device)
    scaled = box.clone().expand(*torch.broadcast_shapes(box.shape[:-1], by.shape), box.shape[-1]).clone()
    scaled[..., 3:6] *= by[..., None]
    scaled[..., 2] += (scaled[..., 5] - box[..., 5]) / 2
    return scaled


def scale_points(points: Tensor, box: Tensor, factor: float) -> Tensor:
    """Return the points (n, >= 3) of an object whose box is scaled by :func:`scale_box`.

    One factor for all axes: scaling about the centre of the box is the same in its frame and in the scene's.
    """
    moved = points.clone()
    moved[:, :3] = (points[:, :3] - box[:3]) * factor + scale_box(box, factor)[:3]
    return moved


def draw_scale(
    box: Tensor, others: Tensor, low: float, high: float, rng: np.random.Generator, candidates: int = CANDIDATES
) -> float:
    """Return the first of ``candidates`` uniform factors in [low, high] with which ``box`` (7,) hits none of ``others``
    (K, 7) seen from above; 1 when each of them does."""
    factors = torch.from_numpy(rng.uniform(low, high, candidates)).to(box)
    hits = (bev_iou(scale_box(box, factors), others) > 0).any(dim=1)
    free = (~hits).nonzero()
    return float(factors[free[0, 0]]) if len(free) else 1.0


def random_object_scaling(
    points: Tensor, boxes: Tensor, ranges: Sequence[Sequence[float]] | NDArray[np.floating], rng: np.random.Generator,
    candidates: int = CANDIDATES,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Scale every object of a scene by a factor of its own.

    One after the other, each with the first factor that hits no other box as they are by then. Its points are scaled
    with it. A point in two boxes goes with the first. Points of the surroundings that a grown box now covers are
    deleted, as released: they would lie inside the object.

    Args:
        points: (N, F), x, y, z first. boxes: (M, 7).
        ranges: (M, 2) lowest and highest factor of each object, > 0. Published: nuScenes to KITTI car (.75, 1),
            pedestrian (.95, 1.05), cyclist (.98, 1.02); Waymo to KITTI vehicle (.7, .95), others (.9, 1.02).
        rng: source of the factors.

    Returns:
        (points (N', F) in their order, N' <= N; boxes (M, 7); factors (M,)); nothing given is changed.

    Raises:
        ValueError: other shapes, or a range that is empty or not positive.
    """
    limits = np.asarray(ranges, dtype=np.float64).reshape(-1, 2)
    if len(limits) != len(check_boxes(boxes)) or (limits[:, 0] <= 0).any() or (limits[:, 0] > limits[:, 1]).any():
        raise ValueError(
            f'random_object_scaling: ranges must hold 0 < lowest <= highest for each of {len(boxes)} boxes, but got '
            f'{limits.tolist()}.'
        )
    moved, scaled = points.clone(), boxes.clone()
    inside = points_in_boxes(points, boxes)
    inside &= inside.cumsum(dim=0) == 1  # a point belongs to one object
    factors = boxes.new_ones(len(boxes))
    kept = torch.ones(len(points), dtype=torch.bool, device=points.device)
    for index, (low, high) in enumerate(limits.tolist()):
        others = torch.cat([scaled[:index], scaled[index + 1 :]])
        factor = draw_scale(boxes[index], others, low, high, rng, candidates)
        factors[index] = factor
        scaled[index] = scale_box(boxes[index], factor)
        moved[inside[index]] = scale_points(points[inside[index]], boxes[index], factor)
        if factor > 1:
            kept &= inside[index] | ~points_in_boxes(moved, scaled[index : index + 1])[0]
    return moved[kept], scaled, factors
