"""Objects of other scenes put into a scene: where they do not collide, in the place of what was there."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from imbdense.core.boxes3d.geometry import points_in_any_box
from imbdense.core.boxes3d.overlap import bev_iou

FOOT = 2.0
"""Metres round the centre of an object in which the ground under it is looked for."""
LOWEST = 0.1
"""The ground is this quantile of the heights there: a few points below it are echoes."""


def free_of_collision(boxes: Tensor, present: Tensor) -> Tensor:
    """Return which boxes to put into a scene, bool (M,): those that touch no ground of a box that is there.

    In the given order, each is compared with the ``present`` ones (K, 7) and with those that were taken before it. An
    IoU from above of more than 0 is a collision; a common edge is none.
    """
    taken = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    against_present = (bev_iou(boxes, present) > 0).any(dim=1)
    among = bev_iou(boxes, boxes) > 0
    for index in range(len(boxes)):
        taken[index] = not (against_present[index] or (among[index, :index] & taken[:index]).any())
    return taken


def ground_heights(points: Tensor, boxes: Tensor, foot: float = FOOT) -> Tensor:
    """Return the height of the ground under each box, (M,): a low quantile of what lies within ``foot`` metres of its
    centre. Where there is no point it is the bottom of the box itself."""
    heights = boxes[:, 2] - boxes[:, 5] / 2
    for index, box in enumerate(boxes):
        near = points[((points[:, :2] - box[:2]).abs() <= foot).all(dim=1), 2]
        if len(near):
            heights[index] = near.quantile(LOWEST) if len(near) > 1 else near[0]
    return heights


def paste_objects(
    points: Tensor, present: Tensor, boxes: Tensor, objects: Sequence[Tensor], on_ground: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Put cut-out objects into a scene.

    1. Those that collide are left out (:func:`free_of_collision`).
    2. With ``on_ground`` the others are lifted or lowered to the ground of this scene (:func:`ground_heights`).
    3. The points inside their boxes are deleted, then their own are added.

    Args:
        points: (N, F) of the scene. present: (K, 7) boxes in it.
        boxes: (M, 7) of the objects, in the coordinates of the scene. objects: M tensors (n, F).
        on_ground: whether the heights of the scenes differ; scenes with a common ground need it not.

    Returns:
        (points (N', F), boxes of what was pasted (m, 7), their indices into ``boxes`` (m,) int64).

    Raises:
        ValueError: an object has another number of features than the scene.
    """
    other = {item.shape[1] for item in objects} - {points.shape[1]}
    if other:
        raise ValueError(
            f'paste_objects: the scene has {points.shape[1]} numbers per point, but objects have {sorted(other)}. '
            f'Make the bank from scenes with the same attributes.'
        )
    chosen = free_of_collision(boxes, present).nonzero()[:, 0]
    placed = boxes[chosen].clone()
    own = [objects[index] for index in chosen.tolist()]
    if on_ground and len(chosen):
        lift = ground_heights(points, placed) - (placed[:, 2] - placed[:, 5] / 2)
        placed[:, 2] += lift
        own = [torch.cat([item[:, :2], item[:, 2:3] + up, item[:, 3:]], dim=1) for item, up in zip(own, lift)]
    kept = points[~points_in_any_box(points, placed)]
    return torch.cat([kept, *own]), placed, chosen
