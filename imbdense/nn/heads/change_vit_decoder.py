"""Decoder of ChangeViT: a difference block per scale, added up from coarse to fine.

Source: Zhu et al., ChangeViT: unleashing plain vision transformers for change detection, 2024.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

DECAY = 4


class ChangeViTDecoder(nn.Module):
    """Difference of each scale, then ``d_k + up(d_{k+1})`` down to half the image size.

    A difference block maps [a, b, |a - b|] (3 C channels) over C / 4 back to C: 1 x 1 convolution, batch norm, ReLU and
    three 3 x 3 convolutions. Two scales are a factor of two apart.

    Args:
        channels: of the scales of one date, finest first.

    forward: maps with 3 C channels each, finest first, to (N, channels[0], H, W) of twice the finest size.
    """

    def __init__(self, channels: Sequence[int] = (64, 128, 256, 192)) -> None:
        super().__init__()
        self.difference = nn.ModuleList(_difference_block(width) for width in channels)
        self.up = nn.ModuleList(
            nn.Sequential(nn.Conv2d(coarse, fine, 1, bias=False), nn.ConvTranspose2d(fine, fine, 4, 2, 1))
            for fine, coarse in itertools.pairwise(channels)
        )
        self.last_up = nn.ConvTranspose2d(channels[0], channels[0], 4, 2, 1)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Decode from the coarsest scale; sizes that are no multiple of 16 are cut to those of the finer scale."""
        found = [block(level) for block, level in zip(self.difference, levels)]
        x = found[-1]
        for up, fine in zip(reversed(self.up), reversed(found[:-1])):
            x = fine + _fitted(up(x), fine.shape[-2:])
        return self.last_up(x)


def _difference_block(width: int) -> nn.Sequential:
    """3 C -> C / 4 -> C."""
    narrow = width // DECAY
    return nn.Sequential(
        nn.Conv2d(3 * width, narrow, 1, bias=False), nn.BatchNorm2d(narrow), nn.ReLU(),
        nn.Conv2d(narrow, narrow, 3, padding=1, bias=False), nn.ReLU(),
        nn.Conv2d(narrow, narrow, 3, padding=1, bias=False), nn.ReLU(),
        nn.Conv2d(narrow, width, 3, padding=1, bias=False),
    )


def _fitted(x: Tensor, size: Sequence[int]) -> Tensor:
    """Cut, or repeat the border, to ``size``."""
    missing = (size[1] - x.shape[-1], size[0] - x.shape[-2])
    if missing == (0, 0):
        return x
    x = x[..., : size[0], : size[1]]
    return F.pad(x, (0, max(missing[0], 0), 0, max(missing[1], 0)), mode='replicate')
