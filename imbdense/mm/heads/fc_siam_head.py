"""``imbdense.FCSiamHead``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from imbdense.mm.host_arguments import extends
from imbdense.nn.backbones.fc_encoder import WIDTHS
from imbdense.nn.heads.fc_decoder import OUT_CHANNELS, FCDecoder
from imbdense.registry import MODELS


@extends(
    BaseDecodeHead, 'set_up', channels=OUT_CHANNELS, in_channels=(*WIDTHS, WIDTHS[-1]), in_index=(0, 1, 2, 3, 4),
    input_transform='multiple_select', dropout_ratio=0.0,
)
@MODELS.register_module()
class FCSiamHead(BaseDecodeHead):
    """Decoder of FC-EF, FC-Siam-conc and FC-Siam-diff, with its own dropout and a 3 x 3 classifier.

    Args:
        in_channels: of the four skip connections, finest first, and of the pooled map: (16, 32, 64, 128, 128), or
            (32, 64, 128, 256, 128) for FC-Siam-conc. All other arguments as in the host.

    Source: Daudt, Le Saux, Boulch, ICIP 2018.
    """

    card = 'siamese_segmentor'
    tasks = ('change_detection', 'segmentation')
    conformance_arguments: dict[str, Any] = {'num_classes': 2}

    def set_up(self) -> None:
        """Make the decoder; the host's classifier of 1 x 1 becomes one of 3 x 3."""
        self.decoder = FCDecoder(tuple(self.in_channels)[:-1])
        self.conv_seg = nn.ConvTranspose2d(self.channels, self.out_channels, 3, padding=1)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Logits (N, K, H, W)."""
        return self.cls_seg(self.decoder(self._transform_inputs(inputs)))
