"""Convolutions on a map seen from above, at falling resolutions, brought together again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class BevBackbone(nn.Module):
    """Levels of 3 x 3 convolutions, each brought to the resolution of the first and joined.

    Args:
        in_channels: of the map. channels: of each level. layers: convolutions of each level after the one with the
            stride. strides: of each level to the one before it.
        out_channels: of each level in the result.

    Shapes: (B, in, H, W) -> (B, ``self.out_channels`` = levels * out_channels, ceil(H / s), ceil(W / s)) with s the
    first stride.
    """

    def __init__(
        self, in_channels: int, channels: Sequence[int] = (32, 64), layers: Sequence[int] = (2, 2),
        strides: Sequence[int] = (2, 2), out_channels: int = 32,
    ) -> None:  # fmt: skip
        super().__init__()
        if not len(channels) == len(layers) == len(strides) > 0:
            raise ValueError(
                f'BevBackbone: channels, layers and strides need one number per level, but got {list(channels)}, '
                f'{list(layers)} and {list(strides)}.'
            )
        self.stride = int(strides[0])
        self.levels, self.ups = nn.ModuleList(), nn.ModuleList()
        before, scale = in_channels, 1
        for number, (width, depth, stride) in enumerate(zip(channels, layers, strides)):
            self.levels.append(nn.Sequential(*_block(before, width, stride), *(
                module for _ in range(depth) for module in _block(width, width, 1))))
            scale = scale * stride if number else 1
            raised = nn.ConvTranspose2d(width, out_channels, scale, scale, bias=False)
            self.ups.append(nn.Sequential(raised, nn.BatchNorm2d(out_channels, eps=1e-3), nn.ReLU()))
            before = width
        self.out_channels = len(channels) * out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Return the joined levels."""
        found: list[Tensor] = []
        for level, up in zip(self.levels, self.ups):
            x = level(x)
            raised = up(x)
            found.append(raised if not found else raised[..., : found[0].shape[2], : found[0].shape[3]])
        return torch.cat(found, dim=1)


def _block(in_channels: int, out_channels: int, stride: int) -> list[nn.Module]:
    """Convolution, normalisation, ReLU."""
    return [nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False), nn.BatchNorm2d(out_channels, eps=1e-3),
            nn.ReLU()]
