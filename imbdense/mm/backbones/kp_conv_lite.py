"""``imbdense.KPConvLite``."""

from __future__ import annotations

from typing import Any

from mmengine.model import BaseModule

from imbdense.mm.host_arguments import extends
from imbdense.nn.point_conv import kp_conv_lite
from imbdense.registry import MODELS


@MODELS.register_module()
@extends(kp_conv_lite.KPConvLite, 'keep_init_cfg')
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

    def keep_init_cfg(self, init_cfg: dict[str, Any] | None = None) -> None:
        """Remember what the host initialises from."""
        self.init_cfg, self._is_init = init_cfg, False
