"""CDE for point clouds: the pseudo-objects of a target scene, moved into a source scene, to be detected once more.

Chen et al.: Revisiting Domain-Adaptive 3D Object Detection by Reliable, Diverse and Class-balanced Pseudo-Labeling.
ICCV 2023.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from imbdense.core.boxes3d.geometry import enlarge, points_in_any_box

MARGIN = (1.0, 0.5, 0.5)
"""Metres that boxes grow by in length, width and height before their points are cut out, as published."""


def examination_scene(
    points: Tensor, boxes: Tensor, host_points: Tensor, host_boxes: Tensor, margin: Sequence[float] = MARGIN
) -> Tensor:
    """Return the source scene with the pseudo-objects in the place of its own, (K, F).

    Points inside the enlarged pseudo-boxes are cut out of the target scene. From the source scene what lies inside its
    enlarged annotated boxes, and inside the enlarged pseudo-boxes, is deleted; then the cut points are added at their
    own coordinates. Compare what the frozen source model finds there with ``boxes`` (``core.pseudo_label.accept`` with
    :func:`~imbdense.core.boxes3d.iou_3d`).

    Args:
        points: (N, F) target scene. boxes: (M, 7) its pseudo-boxes; without any the result is an empty source scene.
        host_points: (n, F) source scene. host_boxes: (G, 7) its annotated boxes.
        margin: metres in total, length, width, height.

    Both scenes need a common ground height and the same attributes.

    Raises:
        ValueError: they have different numbers per point.
    """
    if points.shape[1] != host_points.shape[1]:
        raise ValueError(
            f'examination_scene: points have {points.shape[1]} numbers each, those of the source scene '
            f'{host_points.shape[1]}. Load the same attributes of both.'
        )
    places = enlarge(boxes, margin)
    cut = points[points_in_any_box(points, places)]
    cleared = points_in_any_box(host_points, torch.cat([places, enlarge(host_boxes.to(boxes), margin)]))
    return torch.cat([host_points[~cleared], cut])
