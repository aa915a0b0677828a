"""A backbone of two maps, and views for it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TinyBackbone(nn.Module):
    """Maps of 4 channels (full size) and of 6 (half the size), with batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(4, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU())

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Both maps."""
        first = self.first(images)
        return first, self.second(first)


def tiny(seed: int = 0) -> TinyBackbone:
    """With weights of the seed."""
    torch.manual_seed(seed)
    return TinyBackbone()


def views(number: int = 8, size: int = 8, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Two noisy views of the same images."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(number, 3, size, size, generator=generator)
    one, two = (images + 0.1 * torch.randn(images.shape, generator=generator) for _ in range(2))
    return one, two
