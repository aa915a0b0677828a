"""Flow dual-alignment fusion: each date is warped onto the other before their difference is taken.

Source: Fang, Li, Li, Changer: feature interaction is what you need for change detection, IEEE TGRS 2023.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def warp(x: Tensor, flow: Tensor) -> Tensor:
    """x(r + flow(r)), bilinear, zero outside.

    Args:
        x: (N, C, H, W). flow: (N, 2, H, W) in half pixels, x then y (the authors divide it by W and H on a grid that
            reaches from -1 to 1).
    """
    height, width = x.shape[-2:]
    rows = torch.linspace(-1.0, 1.0, height, dtype=flow.dtype, device=flow.device)
    columns = torch.linspace(-1.0, 1.0, width, dtype=flow.dtype, device=flow.device)
    grid = torch.stack([columns.expand(height, width), rows[:, None].expand(height, width)], dim=-1)
    grid = grid + flow.permute(0, 2, 3, 1) / flow.new_tensor([width, height])
    return F.grid_sample(x, grid.to(x.dtype), align_corners=True)


class FlowDualAlignment(nn.Module):
    """[warp(a, f_a) - b, warp(b, f_b) - a], where both flows are made from [a, b].

    Args:
        channels: C of one date.

    forward: two (N, C, H, W) to (N, 2 C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        both = 2 * channels
        self.flow = nn.Sequential(
            nn.Conv2d(both, both, 5, padding=2, groups=both), nn.InstanceNorm2d(both), nn.GELU(),
            nn.Conv2d(both, 4, 1, bias=False),
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Aligned differences in both directions."""
        one, two = self.flow(torch.cat([first, second], dim=1)).chunk(2, dim=1)
        return torch.cat([warp(first, one) - second, warp(second, two) - first], dim=1)


class MixFFN(nn.Module):
    """x + a feed-forward layer with a 3 x 3 depth-wise convolution in it (SegFormer's), on maps."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden), nn.GELU(),
            nn.Conv2d(hidden, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H, W)."""
        return x + self.layers(x)
