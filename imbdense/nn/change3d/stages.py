"""Backbones of single clouds, run level by level so that something can happen between the levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from imbdense.nn.point_conv.kp_conv_lite import KPConvLite
from imbdense.nn.point_conv.levels import EpochLevels
from imbdense.nn.sparse import SparsePoints, SparseUNet


def stages_of(backbone: nn.Module) -> Any:
    """``backbone`` as a module with ``channels``, ``out_channels``, ``encode(level, feats, epoch)`` and ``decode``.

    Raises:
        TypeError: a backbone that cannot be run level by level.
    """
    if isinstance(backbone, KPConvLite):
        return backbone
    if isinstance(backbone, SparseUNet):
        return SparseUNetStages(backbone)
    raise TypeError(f'SiamesePointChange: backbone must be a SparseUNet or KPConvLite, but is a '
                    f'{type(backbone).__name__}.')


class SparseUNetStages(nn.Module):
    """A :class:`SparseUNet` over levels that the loader made, cells in the order of its own strided convolutions."""

    needs_neighbours = False

    def __init__(self, unet: SparseUNet) -> None:
        super().__init__()
        self.unet = unet
        self.depth = len(unet.down)
        first, *deeper = (int(conv.weight.shape[-1]) for conv in _convolutions(unet))
        self.channels = (first, *deeper)
        self.out_channels = unet.out_channels

    def encode(self, level: int, feats: Tensor, epoch: EpochLevels) -> Tensor:
        """Features (N_l, C_l) of a level from those of the level before (level 0: the input features)."""
        if level == 0:
            out: Tensor = self.unet.stem(self._at(0, feats, epoch)).feats
            return out
        points = self.unet.down[level - 1](self._at(level - 1, feats, epoch))
        if len(points) != len(epoch.levels[level]):
            raise ValueError(f'SparseUNetStages: level {level} has {len(epoch.levels[level])} cells in the pyramid but '
                             f'{len(points)} in the network; make pyramids with core.change3d.epoch_pyramid.')
        out = self.unet.encoder[level - 1](points).feats
        return out

    def decode(self, feats: Sequence[Tensor], epoch: EpochLevels) -> Tensor:
        """(N_0, out_channels) from the features of all levels."""
        points = self._at(self.depth, feats[-1], epoch)
        for level in range(self.depth - 1, -1, -1):
            points = self.unet.up[level](points)
            points = self.unet.decoder[level](points.replace(torch.cat([points.feats, feats[level]], 1)))
        out: Tensor = self.unet.head(points.feats)
        return out

    def _at(self, level: int, feats: Tensor, epoch: EpochLevels) -> SparsePoints:
        """Features as sparse points of a level, with the kernel maps of this epoch."""
        return SparsePoints(epoch.levels[level].coords, feats, 2**level, epoch.maps, epoch.samples)


def _convolutions(unet: SparseUNet) -> list[Any]:
    """The convolution that sets the width of each level."""
    return [unet.stem.get_submodule('0'), *(down.get_submodule('0') for down in unet.down)]
