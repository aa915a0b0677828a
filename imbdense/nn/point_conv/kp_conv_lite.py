"""``KPConvLite``: encoder and decoder of kernel point convolutions over the levels of a pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_integer, check_number
from imbdense.core.reduction import full_precision
from imbdense.nn.point_conv.levels import EpochLevels, gather_rows
from imbdense.nn.point_conv.rigid_kp_conv import RigidKPConv

SLOPE = 0.1


class PointNorm(nn.BatchNorm1d):
    """Batch norm over points in full precision; with fewer than two points the running statistics are used."""

    def forward(self, feats: Tensor) -> Tensor:
        """(N, C) -> (N, C)."""
        feats = full_precision(feats)
        if self.training and len(feats) < 2:
            return nn.functional.batch_norm(
                feats, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(feats)


class Unary(nn.Module):
    """Linear, batch norm and, unless ``last``, LeakyReLU."""

    def __init__(self, in_channels: int, out_channels: int, momentum: float, last: bool = False) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, out_channels, bias=False)
        self.norm = PointNorm(out_channels, momentum=momentum)
        self.last = last

    def forward(self, feats: Tensor) -> Tensor:
        """(N, Cin) -> (N, Cout)."""
        out = self.norm(self.linear(feats))
        return out if self.last else nn.functional.leaky_relu(out, SLOPE)


class BottleneckBlock(nn.Module):
    """Residual block: unary to a quarter of the width, kernel point convolution, unary; queries may be coarser points.

    Shortcut: the input, as the maximum over the neighbours where the queries are coarser, through a unary where the
    widths differ.
    """

    def __init__(
        self, in_channels: int, out_channels: int, sigma: float, count: int, normalize: bool, momentum: float, seed: int
    ) -> None:
        super().__init__()
        narrow = max(out_channels // 4, 4)
        self.before = Unary(in_channels, narrow, momentum)
        self.conv = RigidKPConv(narrow, narrow, sigma, count, normalize, seed)
        self.norm = PointNorm(narrow, momentum=momentum)
        self.after = Unary(narrow, out_channels, momentum, last=True)
        self.shortcut = nn.Identity() if in_channels == out_channels else Unary(in_channels, out_channels, momentum,
                                                                                last=True)

    def forward(self, queries: Tensor, support: Tensor, neighbours: Tensor, feats: Tensor, strided: bool) -> Tensor:
        """(S, Cin) -> (Q, Cout)."""
        out = nn.functional.leaky_relu(self.norm(self.conv(queries, support, neighbours, self.before(feats))), SLOPE)
        direct = largest_of(feats, neighbours) if strided else feats
        return nn.functional.leaky_relu(self.after(out) + self.shortcut(direct), SLOPE)


class KPConvLite(nn.Module):
    """KP-FCNN with rigid kernels, on torch alone: levels and neighbours come from the loader.

    Level 0: a kernel point convolution and a bottleneck block; each coarser level a strided and a plain bottleneck
    block. Decoder: features of the parent (nearest), concatenated with the skip, unary. Widths: base * (1, 2, 4, ...).

    Args:
        in_channels: features per point. base_channels: width of level 0. depth: levels below the first.
        voxel: cell of level 0, metres; level l has voxel * 2^l, sigma = sigma_ratio times that.
        kernel_points: K; the authors of Siamese KPConv use 25.
        sigma_ratio: 1.0 to 1.2.
        max_neighbours: M at most; more are dropped at random by the loader.
        normalize, seed: see :class:`RigidKPConv`. bn_momentum: of the running statistics (authors: 0.02).

    Stage-wise use: ``encode(level, feats, epoch)`` takes the features of the level before (level 0: the input),
    ``decode(feats of all levels, epoch)`` gives (N_0, ``out_channels``). ``forward(epoch, feats)`` does both.
    """

    needs_neighbours = True

    def __init__(
        self,
        in_channels: int,
        base_channels: int = 64,
        depth: int = 4,
        voxel: float = 1.0,
        kernel_points: int = 15,
        sigma_ratio: float = 1.0,
        max_neighbours: int = 32,
        normalize: bool = True,
        bn_momentum: float = 0.02,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.depth = check_integer('depth', depth, low=1, owner='KPConvLite')
        self.max_neighbours = check_integer('max_neighbours', max_neighbours, low=1, owner='KPConvLite')
        check_number('voxel', voxel, low=0.0, low_open=True, owner='KPConvLite')
        self.radius_ratio = 2.5 * sigma_ratio
        self.channels = tuple(base_channels * 2**level for level in range(depth + 1))
        self.out_channels = base_channels
        options = (kernel_points, normalize, bn_momentum, seed)

        def block(inner: int, outer: int, level: int) -> BottleneckBlock:
            return BottleneckBlock(inner, outer, sigma_ratio * voxel * 2**level, *options)

        self.stem = RigidKPConv(in_channels, base_channels, sigma_ratio * voxel, kernel_points, normalize, seed)
        self.stem_norm = PointNorm(base_channels, momentum=bn_momentum)
        self.down = nn.ModuleList(block(self.channels[level], self.channels[level + 1], level)
                                  for level in range(depth))
        self.plain = nn.ModuleList(block(width, width, level) for level, width in enumerate(self.channels))
        self.up = nn.ModuleList(Unary(coarse + fine, fine, bn_momentum)
                                for fine, coarse in pairwise(self.channels))

    def encode(self, level: int, feats: Tensor, epoch: EpochLevels) -> Tensor:
        """Features (N_l, C_l) of a level from those of the level before (level 0: the input features)."""
        here = epoch.levels[level]
        if level == 0:
            out = self.stem(here.points, here.points, _needed(here.neighbours), feats)
            feats = nn.functional.leaky_relu(self.stem_norm(out), SLOPE)
        else:
            finer = epoch.levels[level - 1]
            feats = self.down[level - 1](here.points, finer.points, _needed(finer.pool), feats, True)
        return self.plain[level](here.points, here.points, _needed(here.neighbours), feats, False)

    def decode(self, feats: Sequence[Tensor], epoch: EpochLevels) -> Tensor:
        """(N_0, out_channels) from the features of all levels."""
        out = feats[-1]
        for level in range(self.depth - 1, -1, -1):
            out = self.up[level](torch.cat([out[epoch.levels[level].parent], feats[level]], 1))
        return out

    def forward(self, epoch: EpochLevels, feats: Tensor) -> Tensor:
        """(N_0, in_channels) -> (N_0, out_channels)."""
        found: list[Tensor] = []
        for level in range(self.depth + 1):
            feats = self.encode(level, feats, epoch)
            found.append(feats)
        return self.decode(found, epoch)


def largest_of(feats: Tensor, neighbours: Tensor) -> Tensor:
    """Maximum over the neighbours, (S, C), (Q, M) -> (Q, C); zeros for a query without any."""
    values = gather_rows(feats, neighbours)
    values = values.masked_fill((neighbours < 0)[..., None], float('-inf'))
    largest = values.amax(1) if values.shape[1] else values.new_full((len(values), feats.shape[1]), float('-inf'))
    return torch.where(torch.isinf(largest), 0.0, largest)


def _needed(table: Tensor | None) -> Tensor:
    """The neighbours, which the loader must have made."""
    if table is None:
        raise ValueError('KPConvLite: the pyramid has no neighbours. Set neighbours in imbdense.PackPointPair.')
    return table
