"""Boxes in space: (x, y, z centre, l, w, h, yaw counter-clockwise about +z), float tensors (N, 7).

* :func:`corners`, :func:`enlarge`, :func:`points_in_boxes`  - geometry;
* :func:`bev_iou`, :func:`iou_3d`, :func:`rotated_nms`       - exact overlap of turned boxes, on any device;
* :func:`encode_boxes`, :func:`box_offset_loss`, :func:`anchor_grid`, :func:`assign_anchors` - what a detector learns;
* :func:`mirror`, :func:`rotate`, :func:`rescale`            - augmentation of whole scenes;
* :func:`random_object_scaling`                              - of single objects (ST3D, ReDB);
* :func:`paste_objects`                                      - objects of other scenes, without collisions;
* :func:`examination_scene`                                  - cross-domain examination of ReDB.
"""

from imbdense.core.boxes3d.anchors import Assignment, anchor_grid, assign_anchors, upright_iou
from imbdense.core.boxes3d.augment import mirror, rescale, rotate
from imbdense.core.boxes3d.coder import box_offset_loss, decode_boxes, direction_class, encode_boxes, with_direction
from imbdense.core.boxes3d.examination import examination_scene
from imbdense.core.boxes3d.geometry import (
    bev_corners,
    check_boxes,
    corners,
    enlarge,
    limit_angle,
    points_in_any_box,
    points_in_boxes,
    to_box_frame,
)
from imbdense.core.boxes3d.nms import rotated_nms
from imbdense.core.boxes3d.object_scaling import draw_scale, random_object_scaling, scale_box, scale_points
from imbdense.core.boxes3d.overlap import bev_iou, iou_3d, shared_area
from imbdense.core.boxes3d.paste import free_of_collision, ground_heights, paste_objects

__all__ = [
    'Assignment',
    'anchor_grid',
    'assign_anchors',
    'bev_corners',
    'bev_iou',
    'box_offset_loss',
    'check_boxes',
    'corners',
    'decode_boxes',
    'direction_class',
    'draw_scale',
    'encode_boxes',
    'enlarge',
    'examination_scene',
    'free_of_collision',
    'ground_heights',
    'iou_3d',
    'limit_angle',
    'mirror',
    'paste_objects',
    'points_in_any_box',
    'points_in_boxes',
    'random_object_scaling',
    'rescale',
    'rotate',
    'rotated_nms',
    'scale_box',
    'scale_points',
    'shared_area',
    'to_box_frame',
    'upright_iou',
    'with_direction',
]
