"""Blocks between the stages of a decoder: PyramidFusion and the residual block with squeeze and excitation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imbdense.nn.gates import PooledChannelGate, SpatialGate, SqueezeExcitation

MIN_HIDDEN = 8


class PyramidFusion(nn.Module):
    """Three receptive fields side by side, gated over channels and pixels, with a shortcut.

    Branches conv1x1 / conv3x3 / (depth-wise 5x5, 1x1), each BN + ReLU, concatenated; channel gate; spatial gate;
    conv1x1 + BN + ReLU; plus a 1x1 shortcut (identity when the channels stay). (N, C, H, W) -> (N, C', H, W).

    Args:
        in_channels, out_channels: C and C'.
        hidden: width of the channel gate's MLP; ``None`` = ``max(8, 3 C' // 16)``. The released code takes
            ``3 C' // 16``, which is 0 in its classifiers.
    """

    def __init__(self, in_channels: int, out_channels: int, hidden: int | None = None) -> None:
        super().__init__()
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)
        self.branch1 = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1), *_bn_relu(out_channels))
        self.branch3 = nn.Sequential(nn.Conv2d(in_channels, out_channels, 3, padding=1), *_bn_relu(out_channels))
        self.branch5 = nn.Sequential(
            nn.Conv2d(in_channels, in_channels, 5, padding=2, groups=in_channels),
            nn.Conv2d(in_channels, out_channels, 1),
            *_bn_relu(out_channels),
        )
        wide = 3 * out_channels
        self.channel_gate = PooledChannelGate(wide, max(MIN_HIDDEN, wide // 16) if hidden is None else hidden)
        self.spatial_gate = SpatialGate()
        self.fuse = nn.Sequential(nn.Conv2d(wide, out_channels, 1), *_bn_relu(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        wide = torch.cat([self.branch1(x), self.branch3(x), self.branch5(x)], 1)
        return self.fuse(self.spatial_gate(self.channel_gate(wide))) + self.shortcut(x)


class ResBlockSE(nn.Module):
    """``ReLU(x + SE(BN(conv3x3(ReLU(BN(conv3x3(x)))))))``; (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.se = SqueezeExcitation(channels)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        residual = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(self.se(residual) + x)


def _bn_relu(channels: int) -> tuple[nn.Module, nn.Module]:
    """What follows a convolution."""
    return nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
