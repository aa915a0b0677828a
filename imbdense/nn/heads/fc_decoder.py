"""Decoder of the fully convolutional change detectors, up to the features of its last layer.

Source: Daudt, Le Saux, Boulch, Fully convolutional siamese networks for change detection, ICIP 2018.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbdense.nn.backbones.fc_encoder import CONVOLUTIONS, WIDTHS, fc_block

OUT_CHANNELS = WIDTHS[0]


class FCDecoder(nn.Module):
    """Upsample, pad to the size of the skip connection, join, convolve; four times.

    A stage that goes with an encoder stage of n convolutions has n as well; the last of each leads to the width of the
    stage above, and the very last layer of the network is the classifier, which is not part of this module.

    Args:
        skip_channels: channels of the four skip connections, finest first: the encoder's for FC-EF and FC-Siam-diff,
            twice as many for FC-Siam-conc.

    forward: five maps, finest first, see :class:`imbdense.nn.backbones.fc_encoder.FCEncoder`, to (N, 16, H, W).
    """

    def __init__(self, skip_channels: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        if len(skip_channels) != len(WIDTHS):
            raise ValueError(f'FCDecoder: skip_channels must hold {len(WIDTHS)} numbers, but is {list(skip_channels)}.')
        self.up, self.stages = nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(len(WIDTHS))):
            width, above = WIDTHS[level], WIDTHS[max(level - 1, 0)]
            self.up.append(nn.ConvTranspose2d(width, width, 3, stride=2, padding=1, output_padding=1))
            widths = [width] * (CONVOLUTIONS[level] - 1) + ([above] if level else [])
            blocks, incoming = [], width + skip_channels[level]
            for out in widths:
                blocks.append(fc_block(nn.ConvTranspose2d, incoming, out))
                incoming = out
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Decode from the coarsest map."""
        x = levels[-1]
        for up, stage, skip in zip(self.up, self.stages, reversed(levels[:-1])):
            x = up(x)
            missing = [skip.shape[axis] - x.shape[axis] for axis in (3, 2)]
            x = F.pad(x, (0, missing[0], 0, missing[1]), mode='replicate')
            x = stage(torch.cat([x, skip], dim=1))
        return x
