"""The block of VMamba: a two-dimensional selective scan and an MLP, both residual."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_number
from imbdense.nn.ss2d import SS2D


class VSSBlock(nn.Module):
    """``x += DropPath(SS2D(LN(x)))``, then ``x += DropPath(MLP(LN(x)))``; (N, H, W, C) -> (N, H, W, C).

    Args:
        channels: C.
        drop_path: probability with which a branch is left out of a sample in training.
        mlp_ratio: width of the MLP in C; 0 = no MLP.
        d_state, gated, init, scan: see :class:`imbdense.nn.ss2d.SS2D`.
    """

    def __init__(
        self,
        channels: int,
        drop_path: float = 0.0,
        mlp_ratio: float = 4.0,
        d_state: int = 1,
        gated: bool = False,
        init: str = 'v0',
        scan: str = 'auto',
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.op = SS2D(channels, d_state=d_state, gated=gated, init=init, scan=scan)
        self.drop_path = DropPath(drop_path)
        hidden = int(channels * check_number('mlp_ratio', mlp_ratio, low=0.0, owner='VSSBlock'))
        self.norm2 = nn.LayerNorm(channels) if hidden else None
        self.mlp = nn.Sequential(
            nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, channels)
        ) if hidden else None  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) -> (N, H, W, C)."""
        x = x + self.drop_path(self.op(self.norm(x)))
        if self.mlp is not None and self.norm2 is not None:
            x = x + self.drop_path(self.mlp(self.norm2(x)))
        return x


class DropPath(nn.Module):
    """Stochastic depth: in training, each sample's branch is zero with probability p and divided by 1 - p otherwise."""

    def __init__(self, probability: float = 0.0) -> None:
        super().__init__()
        self.probability = check_number('drop_path', probability, low=0.0, high=1.0, owner='DropPath')
        if self.probability == 1.0:
            raise ValueError('DropPath: drop_path must be below 1, or nothing is left of the branch.')

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) -> (N, ...)."""
        if not self.training or self.probability == 0.0:
            return x
        keep = 1.0 - self.probability
        mask = torch.empty((x.shape[0], *[1] * (x.ndim - 1)), dtype=x.dtype, device=x.device).bernoulli_(keep)
        return x * mask.div_(keep)

    def extra_repr(self) -> str:
        """For printing."""
        return f'{self.probability:g}'
