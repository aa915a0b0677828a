"""Transform: ROS, every object of a scene gets another size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from imbdense.core.boxes3d import random_object_scaling
from imbdense.mm.transforms.host_rng import host_generator
from imbdense.mm.transforms.point_frame import frame_boxes, point_matrix, set_points
from imbdense.registry import TRANSFORMS


def check_ranges(ranges: Sequence[Sequence[float]], owner: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(C, 2) lowest and highest factor per class; ``ValueError`` unless 0 < lowest <= highest."""
    table = np.asarray(ranges, np.float64)
    if table.ndim != 2 or table.shape[1] != 2 or (table[:, 0] <= 0).any() or (table[:, 0] > table[:, 1]).any():
        raise ValueError(f'{owner}: ranges must be one 0 < (lowest, highest) per class, but got {list(ranges)}.')
    return table


@TRANSFORMS.register_module()
class RandomObjectScaling(BaseTransform):
    """Scale every object of a scene, its box and the points in it, by a random factor; it stays on the ground.

    For source domains whose objects are larger or smaller than those of the target. See
    :func:`imbdense.core.boxes3d.random_object_scaling`; ignored objects keep their size. To scale pasted objects only,
    as ReDB does, use ``scale`` of :class:`~imbdense.mm.transforms.BankPaste3d`.

    Args:
        ranges: (lowest, highest) factor of every class. Published: nuScenes to KITTI (.75, 1), (.95, 1.05),
            (.98, 1.02) for car, pedestrian, cyclist.

    Raises:
        ValueError: ranges out of order, or fewer than the classes of a scene.
    """

    card = 'random_object_scaling'
    tasks = ('detection_3d',)
    conformance_arguments = {'ranges': [(0.9, 1.1)]}

    def __init__(self, ranges: Sequence[Sequence[float]]) -> None:
        self.ranges = check_ranges(ranges, 'RandomObjectScaling')

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Scale the objects of one scene."""
        boxes, labels = frame_boxes(results, 'RandomObjectScaling'), results['gt_labels_3d']
        if len(labels) and labels.max() >= len(self.ranges):
            raise ValueError(f'RandomObjectScaling: class {labels.max()} has no range; there are {len(self.ranges)}.')
        if len(boxes) == 0:
            return results
        own = np.where(results['gt_ignored_3d'][:, None], 1.0, self.ranges[labels])
        rng = np.random.default_rng(self.draw_seed())
        points, boxes, _ = random_object_scaling(point_matrix(results), boxes, own, rng)
        set_points(results, points)
        results['gt_boxes_3d'] = boxes.numpy()
        return results

    @cache_randomness
    def draw_seed(self) -> int:
        """The seed of one scene's draws, from the host's stream."""
        return int(host_generator().integers(2**62))

    def __repr__(self) -> str:
        return f'RandomObjectScaling(ranges={self.ranges.tolist()})'
