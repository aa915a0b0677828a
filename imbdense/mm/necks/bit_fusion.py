"""``imbdense.BITFusion``."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from imbdense.nn.necks.bit import BIT
from imbdense.registry import MODELS


@MODELS.register_module()
class BITFusion(BIT):
    """Fusion of two dates by a bitemporal image transformer on the deepest map: |a' - b'| of twice its size.

    For ``fusion`` of ``imbdense.SiameseSegmentor``. The authors use the third stage of a ResNet-18 at 1/8 of the size,
    pretrained on ImageNet, and a head of two 3 x 3 convolutions.

    Args:
        in_channels: of the deepest map. channels, tokens, encoder_depth, decoder_depth, num_heads, head_channels,
            decoder_head_channels: see :class:`imbdense.nn.necks.bit.BIT`.

    Source: Chen, Qi, Shi, IEEE TGRS 2021.
    """

    card = 'siamese_segmentor'
    tasks = ('change_detection',)

    def forward(self, first: Sequence[Tensor], second: Sequence[Tensor]) -> tuple[Tensor]:  # type: ignore[override]
        """One map of the last maps of both dates."""
        return (super().forward(first[-1], second[-1]),)
