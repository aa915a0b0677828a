"""``imbdense.KPConvLite``."""

from __future__ import annotations

from typing import Any

from mmengine.model import BaseModule

from imbdense.nn.point_conv import kp_conv_lite
from imbdense.registry import MODELS


@MODELS.register_module()
class KPConvLite(kp_conv_lite.KPConvLite, BaseModule):
    """Kernel point convolutions (rigid) over a pyramid from the loader, in plain torch; for SiamesePointChange.

    Arguments, shapes and source: :class:`imbdense.nn.point_conv.kp_conv_lite.KPConvLite`. Set ``neighbours`` of
    ``imbdense.PackPointPair`` to ``max_neighbours``, and its ``radius_ratio`` to 2.5 ``sigma_ratio``.

    Args:
        init_cfg: as in mmengine.
        others: see the base class.
    """

    card = 'pointcloud_change'
    tasks = ('point change',)
    conformance_arguments = {'in_channels': 1, 'base_channels': 4, 'depth': 1}

    def __init__(
        self,
        in_channels: int,
        base_channels: int = 64,
        depth: int = 4,
        voxel: float = 1.0,
        kernel_points: int = 15,
        sigma_ratio: float = 1.0,
        max_neighbours: int = 32,
        normalize: bool = True,
        bn_momentum: float = 0.02,
        seed: int = 0,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(in_channels, base_channels, depth, voxel, kernel_points, sigma_ratio, max_neighbours,
                         normalize, bn_momentum, seed)
        self.init_cfg, self._is_init = init_cfg, False
