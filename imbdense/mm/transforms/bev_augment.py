"""Transform: mirror, turn and scale a whole scene seen from above."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from imbdense.core.boxes3d import mirror, rescale, rotate
from imbdense.core.checks import check_number
from imbdense.mm.transforms.host_rng import host_generator
from imbdense.mm.transforms.point_frame import frame_boxes, point_matrix, set_points
from imbdense.registry import TRANSFORMS


@TRANSFORMS.register_module()
class BevAugment(BaseTransform):
    """Mirror (left and right), turn about the sensor and scale a scene, points and boxes alike.

    Args:
        mirror_prob: in [0, 1]. angle: the scene is turned by up to this many radians either way.
        scale: (lowest, highest) factor.
    """

    card = 'pillar_detector'
    tasks = ('detection_3d',)

    def __init__(self, mirror_prob: float = 0.5, angle: float = 0.785, scale: Sequence[float] = (0.95, 1.05)) -> None:
        owner = 'BevAugment'
        self.mirror_prob = check_number('mirror_prob', mirror_prob, low=0.0, high=1.0, owner=owner)
        self.angle = check_number('angle', angle, low=0.0, owner=owner)
        factors = [check_number('scale', factor, low=0.0, low_open=True, owner=owner) for factor in scale]
        if len(factors) != 2 or factors[0] > factors[1]:
            raise ValueError(f'{owner}: scale must be (lowest, highest), but got {tuple(scale)}.')
        self.scale = (factors[0], factors[1])

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Move one scene."""
        mirrored, angle, factor = self.draw()
        scene = point_matrix(results), frame_boxes(results, 'BevAugment')
        scene = mirror(*scene, 'x') if mirrored else scene
        points, boxes = rescale(*rotate(*scene, angle), factor)
        set_points(results, points)
        results['gt_boxes_3d'] = boxes.numpy()
        return results

    @cache_randomness
    def draw(self) -> tuple[bool, float, float]:
        """(mirror?, angle, factor) of one scene, from the host's stream."""
        rng = host_generator()
        return bool(rng.random() < self.mirror_prob), rng.uniform(-self.angle, self.angle), rng.uniform(*self.scale)

    def __repr__(self) -> str:
        return f'BevAugment(mirror_prob={self.mirror_prob}, angle={self.angle}, scale={self.scale})'
