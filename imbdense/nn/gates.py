"""Gates: factors in (0, 1) or (0, 2) per channel or per pixel, computed from the map they multiply."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_integer


class SpatialGate(nn.Module):
    """``x * sigmoid(conv7x7([mean_c x, max_c x]))`` (CBAM); (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return x * torch.sigmoid(self.conv(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)))


class NeighbourChannelGate(nn.Module):
    """``x * sigmoid(conv1d_k(GAP x))`` along the channels (ECA): k weights for any number of channels.

    ``k = int((log2(C) + 1) / 2)``, the next odd number if that is even.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        size = int(abs(math.log2(check_integer('channels', channels, low=1, owner=type(self).__name__)) + 1) / 2)
        size += 1 - size % 2
        self.conv = nn.Conv1d(1, 1, size, padding=size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        mean = x.mean((2, 3)).unsqueeze(1)
        return x * torch.sigmoid(self.conv(mean)).squeeze(1)[..., None, None]


class PooledChannelGate(nn.Module):
    """``x * (MLP(GAP x) + MLP(GMP x))`` with a sigmoid at the end of the MLP, so the factor lies in (0, 2).

    Args:
        channels: C of x.
        hidden: width of the MLP; 0 makes the factor a constant per channel (which the released Mamba-FCS classifiers
            have, as 6 // 16 = 0; kept for their weights).
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        check_integer('hidden', hidden, low=0, owner=type(self).__name__)
        self.narrow = nn.Linear(channels, hidden) if hidden else None
        self.wide = nn.Linear(hidden, channels) if hidden else None
        self.constant = None if hidden else nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        if self.narrow is None or self.wide is None:
            return x * (2 * torch.sigmoid(self.constant)).view(1, -1, 1, 1)
        weights = [torch.sigmoid(self.wide(torch.relu(self.narrow(v)))) for v in (x.mean((2, 3)), x.amax((2, 3)))]
        return x * (weights[0] + weights[1])[..., None, None]


class SqueezeExcitation(nn.Module):
    """``x * sigmoid(W2 relu(W1 GAP x))`` (Hu et al., 2018), hidden width ``max(1, C // 16)``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(1, channels // 16)
        self.narrow, self.wide = nn.Linear(channels, hidden), nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return x * torch.sigmoid(self.wide(torch.relu(self.narrow(x.mean((2, 3))))))[..., None, None]
