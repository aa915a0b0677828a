"""``imbdense.ChangerHead``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from torch import Tensor, nn

from imbdense.mm.host_arguments import extends
from imbdense.nn.heads.flow_alignment import FlowDualAlignment, MixFFN
from imbdense.registry import MODELS


@extends(BaseDecodeHead, 'set_up', input_transform='multiple_select')
@MODELS.register_module()
class ChangerHead(BaseDecodeHead):
    """Head of Changer: join the scales of each date, warp the dates onto one another, take differences, classify.

    Takes the maps of ``fusion='concat'``. ChangerEx is this head with ``exchange=[None, 'spatial', 'channel',
    'channel']`` in ``imbdense.SiameseSegmentor``.

    Args:
        in_channels: of *one* date, per scale, finest first. channels: even. All other arguments as in the host.

    Raises:
        ValueError: odd ``channels``.

    Source: Fang, Li, Li, Changer, IEEE TGRS 2023.
    """

    card = 'siamese_segmentor'
    tasks = ('change_detection',)
    conformance_arguments: dict[str, Any] = {
        'num_classes': 2, 'channels': 8, 'in_channels': (4, 8), 'in_index': (0, 1)
    }

    def set_up(self) -> None:
        """Make the layers."""
        if self.channels % 2:
            raise ValueError(f'ChangerHead: channels must be even, but is {self.channels}.')
        layer = {'kernel_size': 1, 'conv_cfg': self.conv_cfg, 'norm_cfg': self.norm_cfg, 'act_cfg': self.act_cfg}
        self.reduce = nn.ModuleList(ConvModule(width, self.channels, **layer) for width in self.in_channels)
        self.join = ConvModule(self.channels * len(self.in_channels), self.channels // 2, **layer)
        self.align = FlowDualAlignment(self.channels // 2)
        self.mix = MixFFN(self.channels, self.channels)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Logits (N, K, h, w) of the finest scale."""
        dates = zip(*(level.chunk(2, dim=1) for level in self._transform_inputs(inputs)))
        first, second = (self._one_date(levels) for levels in dates)
        return self.cls_seg(self.mix(self.align(first, second)))

    def _one_date(self, levels: Sequence[Tensor]) -> Tensor:
        """All scales of one date at the finest."""
        size = levels[0].shape[-2:]
        return self.join(torch.cat([
            resize(layer(x), size=size, mode='bilinear', align_corners=self.align_corners)
            for layer, x in zip(self.reduce, levels)
        ], dim=1))  # fmt: skip
