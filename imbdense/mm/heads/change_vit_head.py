"""``imbdense.ChangeViTHead``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from imbdense.mm.host_arguments import extends
from imbdense.nn.heads.change_vit_decoder import ChangeViTDecoder
from imbdense.registry import MODELS


@extends(
    BaseDecodeHead, 'set_up', channels=64, in_channels=(64, 128, 256, 192), in_index=(0, 1, 2, 3),
    input_transform='multiple_select', dropout_ratio=0.0,
)
@MODELS.register_module()
class ChangeViTHead(BaseDecodeHead):
    """Head of ChangeViT: difference blocks on [a, b, |a - b|], added up from coarse to fine, a 3 x 3 classifier.

    Takes the maps of ``fusion='conc+diff'``. The authors train it with the sum of binary cross-entropy and Dice.

    Args:
        in_channels: of *one* date, per scale, finest first; ``channels`` must be the first. All other arguments as in
            the host.

    Source: Zhu et al., ChangeViT, 2024.
    """

    card = 'change_vit'
    tasks = ('change_detection',)
    conformance_arguments: dict[str, Any] = {'num_classes': 2}

    def set_up(self) -> None:
        """Make the decoder; the host's classifier of 1 x 1 becomes one of 3 x 3 without a bias."""
        if self.channels != self.in_channels[0]:
            raise ValueError(
                f'ChangeViTHead: channels must be those of the finest scale, {self.in_channels[0]}, but is '
                f'{self.channels}.'
            )
        self.decoder = ChangeViTDecoder(tuple(self.in_channels))
        self.conv_seg = nn.Conv2d(self.channels, self.out_channels, 3, padding=1, bias=False)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Logits (N, K, H, W)."""
        return self.cls_seg(self.decoder(self._transform_inputs(inputs)))
