"""``SparseUNet``: encoder and decoder of sparse convolutions over the voxels of a cloud."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from imbdense.core.checks import check_integer
from imbdense.core.reduction import full_precision
from imbdense.nn.sparse.blocks import ResidualBlock, conv_bn_relu, recomputed
from imbdense.nn.sparse.conv import DownConv3d, SubMConv3d, UpConv3d, set_backend
from imbdense.nn.sparse.sparse_points import SparsePoints, canonical

WIDTHS = (1, 2, 4, 8, 8)
"""Channels per level in units of ``base_channels``; deeper levels keep the last."""


class SparseUNet(nn.Module):
    """U-Net of sparse convolutions; features come out at the input voxels, in their order.

    Stem: submanifold 3³ convolution to c_0 = b. Level l = 1 ... depth: strided convolution c_(l-1) -> c_l, then
    ``blocks[l-1]`` residual blocks, c_l = b·(1, 2, 4, 8, 8)[l]. Decoder, from the coarsest: transposed convolution
    c_l -> c_(l-1), concatenated with the encoder's features, one residual block. The result does not depend on the
    order of the voxels, nor on where a sample lies; in eval mode nor on the other samples of a batch.

    Args:
        in_channels: features per voxel.
        base_channels: b.
        depth: number of levels below the stem.
        blocks: residual blocks per level; one number per level.
        out_channels: adds a linear head of that width; ``None`` (default) gives the decoder's b channels.
        checkpoint: recompute each block in backward instead of keeping what is inside (while training).
        bn_momentum: of the running statistics.
        backend: 'torch', or 'spconv' where that is installed; the parameters are the same.

    forward: :class:`SparsePoints` with (N, in_channels) -> (N, ``self.out_channels``) float32 (float64 stays); N = 0
    and N = 1 work, too (see :class:`~imbdense.nn.sparse.layers.PointBatchNorm`).

    Source: Graham et al., CVPR 2018; Choy, Gwak, Savarese, "4D Spatio-Temporal ConvNets", CVPR 2019.
    """

    def __init__(
        self,
        in_channels: int,
        base_channels: int = 32,
        depth: int = 4,
        blocks: Sequence[int] = (1, 1, 1, 1),
        out_channels: int | None = None,
        checkpoint: bool = False,
        bn_momentum: float = 0.02,
        backend: str = 'torch',
    ) -> None:
        super().__init__()
        check_integer('depth', depth, low=1, owner='SparseUNet')
        if len(blocks) != depth:
            raise ValueError(f'SparseUNet: blocks needs one number per level ({depth}), but got {tuple(blocks)}.')
        widths = [base_channels * WIDTHS[min(level, len(WIDTHS) - 1)] for level in range(depth + 1)]
        self.in_channels = int(in_channels)
        self.checkpoint = bool(checkpoint)
        self.stem = conv_bn_relu(SubMConv3d(in_channels, widths[0], bias=False), widths[0], bn_momentum)
        self.down, self.encoder, self.up, self.decoder = (nn.ModuleList() for _ in range(4))
        for level in range(1, depth + 1):
            finer, width = widths[level - 1], widths[level]
            self.down.append(conv_bn_relu(DownConv3d(finer, width, bias=False), width, bn_momentum))
            self.encoder.append(nn.Sequential(*(
                ResidualBlock(width, width, bn_momentum) for _ in range(blocks[level - 1]))))
            self.up.append(conv_bn_relu(UpConv3d(width, finer, bias=False), finer, bn_momentum))
            self.decoder.append(ResidualBlock(2 * finer, finer, bn_momentum))
        self.head = nn.Identity() if out_channels is None else nn.Linear(widths[0], out_channels)
        self.out_channels = widths[0] if out_channels is None else out_channels
        set_backend(self, backend)

    def forward(self, points: SparsePoints) -> SparsePoints:
        """(N, in_channels) -> (N, out_channels) at the same voxels."""
        x, back = canonical(points)
        x = self.stem(x)
        skips = []
        for down, encoder in zip(self.down, self.encoder):
            skips.append(x)
            x = self._block(encoder, down(x))
        for up, decoder, skip in zip(reversed(self.up), reversed(self.decoder), reversed(skips)):
            x = up(x)
            x = self._block(decoder, x.replace(torch.cat([x.feats, skip.feats], 1)))
        feats = full_precision(self.head(x.feats))
        return points.replace(feats if back is None else feats.index_select(0, back))

    def _block(self, block: nn.Module, points: SparsePoints) -> SparsePoints:
        """Run a block, keeping its input alone when asked to."""
        return recomputed(block, points) if self.checkpoint and self.training else block(points)
