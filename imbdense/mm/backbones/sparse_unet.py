"""``imbdense.SparseUNet``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModule

from imbdense.nn.sparse import unet
from imbdense.registry import MODELS


@MODELS.register_module()
class SparseUNet(unet.SparseUNet, BaseModule):
    """U-Net of sparse convolutions over the voxels of a cloud, in plain torch, on CPU and GPU.

    Arguments, shapes and source: :class:`imbdense.nn.sparse.unet.SparseUNet`. ``out_channels`` is the width of what it
    returns, for the ``in_channels`` of the head.

    Args:
        init_cfg: as in mmengine.
        others: see the base class.
    """

    card = 'sparse_convolution'
    tasks = ('points',)
    conformance_arguments = {'in_channels': 3, 'base_channels': 4, 'depth': 1, 'blocks': (1,)}

    def __init__(
        self,
        in_channels: int,
        base_channels: int = 32,
        depth: int = 4,
        blocks: Sequence[int] = (1, 1, 1, 1),
        checkpoint: bool = False,
        bn_momentum: float = 0.02,
        backend: str = 'torch',
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            in_channels, base_channels, depth, blocks, checkpoint=checkpoint, bn_momentum=bn_momentum, backend=backend
        )
        self.init_cfg, self._is_init = init_cfg, False
