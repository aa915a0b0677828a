"""``SparsePointNetTiny``: the smallest network with a neighbourhood and a global view, for tests and first tries."""

from __future__ import annotations

import torch
from torch import nn

from imbdense.nn.sparse.blocks import conv_bn_relu
from imbdense.nn.sparse.conv import SubMConv3d
from imbdense.nn.sparse.layers import GlobalPool, PointLinear
from imbdense.nn.sparse.sparse_points import SparsePoints, canonical


class SparsePointNetTiny(nn.Module):
    """A layer per voxel, one 3³ convolution, and the maximum over the sample next to every voxel.

    ``h = conv(MLP(x)); out = MLP([h, max over the sample of h])``, 16 channels by default.

    Args:
        in_channels: features per voxel. out_channels: width of everything.

    Source: the global maximum is PointNet's (Qi et al., CVPR 2017).
    """

    def __init__(self, in_channels: int, out_channels: int = 16) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.in_channels = int(in_channels)
        self.embed = conv_bn_relu(PointLinear(in_channels, out_channels), out_channels, 0.1)
        self.mix = conv_bn_relu(SubMConv3d(out_channels, out_channels, bias=False), out_channels, 0.1)
        self.pool = GlobalPool('max')
        self.last = conv_bn_relu(PointLinear(2 * out_channels, out_channels), out_channels, 0.1)

    def forward(self, points: SparsePoints) -> SparsePoints:
        """(N, in_channels) -> (N, out_channels) at the same voxels."""
        x, back = canonical(points)
        x = self.mix(self.embed(x))
        around = self.pool(x).index_select(0, x.coords[:, 0])
        feats = self.last(x.replace(torch.cat([x.feats, around], 1))).feats
        return points.replace(feats if back is None else feats.index_select(0, back))
