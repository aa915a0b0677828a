"""Bitemporal image transformer: a handful of semantic tokens of both dates refine the features of each.

Source: Chen, Qi, Shi, Remote sensing image change detection with transformers, IEEE TGRS 2021.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbdense.core.checks import check_integer
from imbdense.nn.backbones.vit import MLP


class TokenAttention(nn.Module):
    """Attention of ``query`` (N, L, C) to ``memory`` (N, M, C) in heads wider than C / heads.

    The scores are scaled by C^-1/2, not by the width of a head: so the authors have it.
    """

    def __init__(self, channels: int, num_heads: int, head_channels: int) -> None:
        super().__init__()
        inner = num_heads * head_channels
        self.num_heads, self.scale = num_heads, channels**-0.5
        self.to_q = nn.Linear(channels, inner, bias=False)
        self.to_k = nn.Linear(channels, inner, bias=False)
        self.to_v = nn.Linear(channels, inner, bias=False)
        self.to_out = nn.Linear(inner, channels)

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        """(N, L, C)."""
        q, k, v = (
            layer(x).unflatten(2, (self.num_heads, -1)).transpose(1, 2)
            for layer, x in ((self.to_q, query), (self.to_k, memory), (self.to_v, memory))
        )
        mixed = F.scaled_dot_product_attention(q, k, v, scale=self.scale)
        return self.to_out(mixed.transpose(1, 2).flatten(2))


class TokenBlock(nn.Module):
    """x + attention(norm(x), norm(memory)), then x + mlp(norm(x)); one norm for both inputs, as the authors have it."""

    def __init__(self, channels: int, num_heads: int, head_channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attention = TokenAttention(channels, num_heads, head_channels)
        self.mlp = MLP(channels, 2 * channels)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        """(N, L, C); ``memory=None`` = self-attention."""
        seen = self.norm1(x)
        x = x + self.attention(seen, seen if memory is None else self.norm1(memory))
        return x + self.mlp(self.norm2(x))


class BIT(nn.Module):
    """Project both dates, take ``tokens`` semantic tokens of each, let them look at one another and the pixels at them.

    ::

        x_t = conv3x3(upsample2(features_t))                 (N, c, H, W)
        tokens_t = softmax over the pixels of (A x_t) times x_t
        [tokens_1, tokens_2] = encoder([tokens_1, tokens_2] + positions)
        result = |decoder(x_1, tokens_1) - decoder(x_2, tokens_2)|

    The positions tell the two dates apart, so swapping the dates changes the result.

    Args:
        in_channels: of one date. channels: c. tokens: per date. encoder_depth, decoder_depth: blocks.
        num_heads, head_channels, decoder_head_channels: of the attention.

    forward: two (N, in_channels, h, w) to (N, c, 2 h, 2 w).
    """

    def __init__(
        self,
        in_channels: int = 256,
        channels: int = 32,
        tokens: int = 4,
        encoder_depth: int = 1,
        decoder_depth: int = 8,
        num_heads: int = 8,
        head_channels: int = 64,
        decoder_head_channels: int = 8,
    ) -> None:
        super().__init__()
        self.tokens = check_integer('tokens', tokens, low=1, owner='BIT')
        self.project = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.where = nn.Conv2d(channels, tokens, 1, bias=False)
        self.positions = nn.Parameter(torch.randn(1, 2 * tokens, channels))
        self.encoder = nn.ModuleList(TokenBlock(channels, num_heads, head_channels) for _ in range(encoder_depth))
        self.decoder = nn.ModuleList(
            TokenBlock(channels, num_heads, decoder_head_channels) for _ in range(decoder_depth)
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """The absolute difference of the refined features."""
        maps = [self.project(F.interpolate(x, scale_factor=2.0)) for x in (first, second)]
        tokens = torch.cat([self._tokens(x) for x in maps], dim=1) + self.positions
        for block in self.encoder:
            tokens = block(tokens)
        one, two = (self._refined(x, own) for x, own in zip(maps, tokens.chunk(2, dim=1)))
        return (one - two).abs()

    def _tokens(self, x: Tensor) -> Tensor:
        """(N, tokens, c): means of the pixels, weighted by where each token looks."""
        weight = self.where(x).flatten(2).softmax(-1)
        return weight @ x.flatten(2).transpose(1, 2)

    def _refined(self, x: Tensor, tokens: Tensor) -> Tensor:
        """The pixels after they have looked at the tokens."""
        pixels = x.flatten(2).transpose(1, 2)
        for block in self.decoder:
            pixels = block(pixels, tokens)
        return pixels.transpose(1, 2).view_as(x)
