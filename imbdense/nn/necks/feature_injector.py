"""Detail into the tokens of a plain transformer: cross-attention from the coarse map to three finer ones.

Source: Zhu et al., ChangeViT: unleashing plain vision transformers for change detection, 2024.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbdense.core.checks import check_integer
from imbdense.nn.backbones.vit import MLP


class CrossAttention(nn.Module):
    """Tokens (N, L, D) look at detail (N, M, C)."""

    def __init__(self, dim: int, detail: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim, bias=False)
        self.kv = nn.Linear(detail, 2 * dim, bias=False)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor, detail: Tensor) -> Tensor:
        """(N, L, D)."""
        batch, length, dim = tokens.shape
        query = self.q(tokens).view(batch, length, self.num_heads, -1).transpose(1, 2)
        key, value = self.kv(detail).view(batch, detail.shape[1], 2, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).reshape(batch, length, dim))


class InjectionBlock(nn.Module):
    """x + cross-attention(norm(x), norm(detail)), then x + mlp(norm(x)), with ReLU as the authors have it."""

    def __init__(self, dim: int, detail: int, num_heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(dim), nn.LayerNorm(detail), nn.LayerNorm(dim)
        self.attn = CrossAttention(dim, detail, num_heads)
        self.mlp = MLP(dim, 4 * dim, nn.ReLU)

    def forward(self, tokens: Tensor, detail: Tensor) -> Tensor:
        """(N, L, D)."""
        tokens = tokens + self.attn(self.norm1(tokens), self.norm2(detail))
        return tokens + self.mlp(self.norm3(tokens))


class FeatureInjector(nn.Module):
    """Inject each detail map into the tokens on its own, then join the results with a 1 x 1 convolution.

    The keys are all pixels of a detail map: (H / 2)^2 of the finest. They are average-pooled to at most ``kv_pool`` x
    ``kv_pool`` first; ``kv_pool=None`` keeps all, as the authors do, at a cost that grows with the square of the area.

    Args:
        detail_channels: of the finer maps. dim: of the coarsest. num_heads: a divisor of ``dim``.
        kv_pool: >= 1 or ``None``.

    forward: the maps, finest first, the coarsest last; the same with the coarsest one enriched.
    """

    def __init__(
        self,
        detail_channels: Sequence[int] = (64, 128, 256),
        dim: int = 192,
        num_heads: int = 8,
        kv_pool: int | None = 64,
    ) -> None:
        super().__init__()
        if kv_pool is not None:
            check_integer('kv_pool', kv_pool, low=1, owner='FeatureInjector')
        if dim % num_heads:
            raise ValueError(f'FeatureInjector: dim {dim} must be a multiple of num_heads {num_heads}.')
        self.kv_pool = kv_pool
        self.blocks = nn.ModuleList(InjectionBlock(dim, channels, num_heads) for channels in detail_channels)
        self.fuse = nn.Conv2d(len(detail_channels) * dim, dim, 1, bias=False)

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Enrich the last map."""
        *details, coarse = levels
        tokens = coarse.flatten(2).transpose(1, 2)
        found = [
            block(tokens, self._pooled(detail).flatten(2).transpose(1, 2)).transpose(1, 2).view_as(coarse)
            for block, detail in zip(self.blocks, details)
        ]
        return *details, self.fuse(torch.cat(found, dim=1))

    def _pooled(self, detail: Tensor) -> Tensor:
        """At most ``kv_pool`` rows and columns."""
        if self.kv_pool is None or max(detail.shape[-2:]) <= self.kv_pool:
            return detail
        size = [min(extent, self.kv_pool) for extent in detail.shape[-2:]]
        return F.adaptive_avg_pool2d(detail, size)
