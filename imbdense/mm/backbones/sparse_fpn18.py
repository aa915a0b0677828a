"""``imbdense.SparseFPN18``."""

from __future__ import annotations

from typing import Any

from mmengine.model import BaseModule

from imbdense.nn.sparse import fpn18
from imbdense.registry import MODELS


@MODELS.register_module()
class SparseFPN18(fpn18.SparseFPN18, BaseModule):
    """Sparse residual encoder whose levels are added at the voxels: the backbone of PointDC and GrowSP.

    Arguments, shapes and source: :class:`imbdense.nn.sparse.fpn18.SparseFPN18`. ``out_channels`` is the width of what
    it returns.

    Args:
        init_cfg: as in mmengine.
        others: see the base class.
    """

    card = 'sparse_convolution'
    tasks = ('points',)
    conformance_arguments = {'in_channels': 3, 'out_channels': 8}

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 128,
        checkpoint: bool = False,
        backend: str = 'torch',
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(in_channels, out_channels, checkpoint, backend)
        self.init_cfg, self._is_init = init_cfg, False
