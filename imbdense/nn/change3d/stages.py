"""Backbones of single clouds, run level by level so that something can happen between the levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from imbdense.core.reduction import full_precision
from imbdense.nn.point_conv.kp_conv_lite import KPConvLite
from imbdense.nn.point_conv.levels import EpochLevels
from imbdense.nn.sparse import SparseFPN18, SparsePoints, SparseUNet
from imbdense.nn.sparse.blocks import recomputed


def stages_of(backbone: nn.Module) -> Any:
    """``backbone`` as a module with ``channels``, ``out_channels``, ``encode(level, feats, epoch)`` and ``decode``.

    Raises:
        TypeError: a backbone that cannot be run level by level.
    """
    if isinstance(backbone, KPConvLite):
        return backbone
    if isinstance(backbone, SparseUNet):
        return SparseUNetStages(backbone)
    if isinstance(backbone, SparseFPN18):
        return SparseFPN18Stages(backbone)
    raise TypeError(f'SiamesePointChange: backbone must be a SparseUNet, SparseFPN18 or KPConvLite, but is a '
                    f'{type(backbone).__name__}.')


class SparseStages(nn.Module):
    """Sparse convolutions over levels that the loader made, cells in the order of the network's strided convolutions.

    Args:
        backbone: has ``stem``, ``down`` and ``checkpoint``. blocks: of each level below the first.
    """

    needs_neighbours = False

    def __init__(self, backbone: Any, blocks: nn.ModuleList) -> None:
        super().__init__()
        self.backbone = backbone
        self.depth = len(backbone.down)
        self.out_channels: int = backbone.out_channels
        self._blocks = [blocks]  # in a list: a module that the backbone registers already

    def encode(self, level: int, feats: Tensor, epoch: EpochLevels) -> Tensor:
        """Features (N_l, C_l) of a level from those of the level before (level 0: the input features)."""
        if level == 0:
            out: Tensor = self.backbone.stem(self._at(0, feats, epoch)).feats
            return out
        points = self.backbone.down[level - 1](self._at(level - 1, feats, epoch))
        if len(points) != len(epoch.levels[level]):
            raise ValueError(f'{type(self).__name__}: level {level} has {len(epoch.levels[level])} cells in the '
                             f'pyramid but {len(points)} in the network; make pyramids with '
                             f'core.change3d.epoch_pyramid.')
        return self._run(self._blocks[0][level - 1], points).feats

    def _run(self, block: nn.Module, points: SparsePoints) -> SparsePoints:
        """Run a block, keeping its input alone where the backbone was asked to."""
        found: SparsePoints = (
            recomputed(block, points) if self.backbone.checkpoint and self.training else block(points))
        return found

    def _at(self, level: int, feats: Tensor, epoch: EpochLevels) -> SparsePoints:
        """Features as sparse points of a level, with the kernel maps of this epoch."""
        return SparsePoints(epoch.levels[level].coords, feats, 2**level, epoch.maps, epoch.samples)


class SparseUNetStages(SparseStages):
    """A :class:`SparseUNet`; the same function as its ``forward``."""

    def __init__(self, backbone: SparseUNet) -> None:
        super().__init__(backbone, backbone.encoder)
        convolutions = [backbone.stem.get_submodule('0'), *(down.get_submodule('0') for down in backbone.down)]
        self.channels = tuple(int(conv.get_parameter('weight').shape[-1]) for conv in convolutions)

    def decode(self, feats: Sequence[Tensor], epoch: EpochLevels) -> Tensor:
        """(N_0, out_channels) from the features of all levels."""
        points = self._at(self.depth, feats[-1], epoch)
        for level in range(self.depth - 1, -1, -1):
            points = self.backbone.up[level](points)
            points = self._run(
                self.backbone.decoder[level], points.replace(torch.cat([points.feats, feats[level]], 1)))
        out: Tensor = self.backbone.head(points.feats)
        return out


class SparseFPN18Stages(SparseStages):
    """A :class:`SparseFPN18`: the sum of what its levels say.

    The backbone does not use the finest level in its sum. Here a change of one cell would be lost with it, so a linear
    layer for that level is added; it begins at zero, where the function is that of the backbone's ``forward``.
    """

    def __init__(self, backbone: SparseFPN18) -> None:
        super().__init__(backbone, backbone.stages)
        below = [int(lateral.get_parameter('weight').shape[1]) for lateral in backbone.lateral]
        self.channels = (int(backbone.stem.get_submodule('0').get_parameter('weight').shape[-1]), *below)
        self.finest = nn.Linear(self.channels[0], self.out_channels, bias=False)
        nn.init.zeros_(self.finest.weight)

    def decode(self, feats: Sequence[Tensor], epoch: EpochLevels) -> Tensor:
        """(N_0, out_channels) from the features of all levels."""
        total: Tensor = full_precision(self.finest(feats[0]))
        ancestor = torch.arange(len(total), device=total.device)
        for level, lateral in enumerate(self.backbone.lateral, start=1):
            ancestor = epoch.levels[level - 1].parent[ancestor]
            total = total + full_precision(lateral(feats[level])).index_select(0, ancestor)
        return total
