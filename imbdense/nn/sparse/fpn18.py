"""``SparseFPN18``: the sparse residual encoder with summed levels of PointDC and GrowSP."""

from __future__ import annotations

from torch import nn

from imbdense.core.checks import check_integer
from imbdense.core.reduction import full_precision
from imbdense.nn.sparse.blocks import ResidualBlock, conv_bn_relu, recomputed
from imbdense.nn.sparse.conv import DownConv3d, SubMConv3d, set_backend
from imbdense.nn.sparse.kernel_map import down_map
from imbdense.nn.sparse.sparse_points import SparsePoints, canonical

PLANES = (32, 64, 128, 256)
STEM = 32
MOMENTUM = 0.02


class SparseFPN18(nn.Module):
    """Residual encoder over four strides; every voxel gets the sum of what its levels say.

    Stem: submanifold 5³ convolution to 32 channels. Stage l = 1 ... 4: strided convolution that keeps the width, then
    two residual blocks to 32, 64, 128, 256 channels. Each stage's output goes through a linear layer without bias to
    ``out_channels`` and back to the input voxels (the value of the voxel's ancestor); the four are added. No decoder.
    The ancestor replaces the published trilinear interpolation. The result depends neither on the order nor on the
    place of the voxels; in eval mode not on the other samples.

    Args:
        in_channels: features per voxel (PointDC: colour and centred position, 6).
        out_channels: width of the sum.
        checkpoint: recompute the residual blocks of each stage in backward (while training).
        backend: 'torch', or 'spconv' where that is installed; the parameters are the same.

    forward: :class:`SparsePoints` (N, in_channels) -> (N, out_channels) float32 at the same voxels.

    Source: Chen et al., PointDC, ICCV 2023; Zhang et al., GrowSP, CVPR 2023 (Res16FPN18).
    """

    def __init__(self, in_channels: int, out_channels: int = 128, checkpoint: bool = False,
                 backend: str = 'torch') -> None:
        super().__init__()
        self.out_channels = check_integer('out_channels', out_channels, low=1, owner='SparseFPN18')
        self.checkpoint = bool(checkpoint)
        self.in_channels = int(in_channels)
        self.stem = conv_bn_relu(SubMConv3d(in_channels, STEM, kernel=5, bias=False), STEM, MOMENTUM)
        self.down, self.stages, self.lateral = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        width = STEM
        for planes in PLANES:
            self.down.append(conv_bn_relu(DownConv3d(width, width, bias=False), width, MOMENTUM))
            self.stages.append(nn.Sequential(
                ResidualBlock(width, planes, MOMENTUM), ResidualBlock(planes, planes, MOMENTUM)))
            self.lateral.append(nn.Linear(planes, out_channels, bias=False))
            width = planes
        set_backend(self, backend)

    def forward(self, points: SparsePoints) -> SparsePoints:
        """(N, in_channels) -> (N, out_channels) at the same voxels."""
        x, back = canonical(points)
        x = self.stem(x)
        ancestor, total = back, x.feats.new_zeros(len(x), self.out_channels)
        for down, stage, lateral in zip(self.down, self.stages, self.lateral):
            parent = down_map(x).parent
            ancestor = parent if ancestor is None else parent[ancestor]
            x = down(x)
            x = recomputed(stage, x) if self.checkpoint and self.training else stage(x)
            level = full_precision(lateral(x.feats)).index_select(0, ancestor)
            total = total + level
        return points.replace(total)
