"""Transforms: the points of a KITTI scene, and its boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from imbdense.data.boxes3d import read_velodyne
from imbdense.mm.transforms.point_frame import EMPTY_BOXES
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadKittiPoints(BaseTransform):
    """Read the ``.bin`` file ``points_path``: places as ``points``, reflectance as ``attributes['intensity']``.

    ``lift`` metres of the record (the height of its sensor) are added to z, so that the ground of every data set lies
    at about 0.

    Raises:
        KittiError: the file is missing, cut off, or holds numbers that are not finite.
    """

    card = 'pillar_detector'
    tasks = ('detection_3d',)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Load one scene."""
        values = read_velodyne(results['points_path'])
        points = values[:, :3].copy()
        points[:, 2] += np.float32(results.get('lift', 0.0))
        results.update(points=points, attributes={'intensity': values[:, 3:].copy()}, origin=np.zeros(3))
        return results

    def __repr__(self) -> str:
        return 'LoadKittiPoints()'


@TRANSFORMS.register_module()
class LoadBoxes3d(BaseTransform):
    """Make ``gt_boxes_3d``, ``gt_labels_3d``, ``gt_ignored_3d`` and ``gt_difficulty`` of the record's ``instances``.

    An instance has ``bbox`` (x, y, z, l, w, h, yaw), ``bbox_label``, ``ignore_flag`` and ``difficulty``.
    """

    card = 'pillar_detector'
    tasks = ('detection_3d',)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Load the boxes of one scene."""
        items = results.get('instances') or []
        results.update({name: values.copy() for name, values in EMPTY_BOXES.items()})
        if items:
            results['gt_boxes_3d'] = np.array([item['bbox'] for item in items], np.float32)
            results['gt_labels_3d'] = np.array([item['bbox_label'] for item in items], np.int64)
            results['gt_ignored_3d'] = np.array([item.get('ignore_flag', 0) for item in items], bool)
            results['gt_difficulty'] = np.array([item.get('difficulty', 0) for item in items], np.int64)
        return results

    def __repr__(self) -> str:
        return 'LoadBoxes3d()'
