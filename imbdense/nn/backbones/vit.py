"""A plain vision transformer without a class token: what its variants share. Parameter names are those of timm."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbdense.core.checks import check_integer


class Attention(nn.Module):
    """Multi-head self-attention of (N, L, D)."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'Attention: dim {dim} must be a multiple of num_heads {num_heads}.')
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(N, L, D) to (N, L, D)."""
        batch, length, dim = x.shape
        query, key, value = self.qkv(x).view(batch, length, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).reshape(batch, length, dim))


class MLP(nn.Module):
    """Two linear layers with an activation between them."""

    def __init__(self, dim: int, hidden: int, activation: type[nn.Module] = nn.GELU) -> None:
        super().__init__()
        self.fc1, self.act, self.fc2 = nn.Linear(dim, hidden), activation(), nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, dim: int, num_heads: int, mlp_ratio: float = 4.0, eps: float = 1e-6) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(dim, eps=eps), Attention(dim, num_heads)
        self.norm2, self.mlp = nn.LayerNorm(dim, eps=eps), MLP(dim, int(dim * mlp_ratio))

    def forward(self, x: Tensor) -> Tensor:
        """(N, L, D) to (N, L, D)."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    """One linear map per patch; an image that is no multiple of the patch is padded with zeros at right and bottom."""

    def __init__(self, in_channels: int, dim: int, patch_size: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Conv2d(in_channels, dim, patch_size, stride=patch_size)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, D, ceil(H / p), ceil(W / p))."""
        return self.proj(pad_to_multiple(x, self.patch_size))


class PlainViT(nn.Module):
    """Patches, learned positions (resized bicubically to other image sizes), blocks, norm; no class token.

    Args:
        in_channels, dim, depth, num_heads, mlp_ratio, patch_size: as usual; 192 / 12 / 6 is the tiny and 384 / 12 / 6
            the small model of ChangeViT.
        image_size: of the learned positions, a multiple of ``patch_size``.

    forward: (N, C, H, W) to (N, dim, ceil(H / p), ceil(W / p)).
    """

    def __init__(
        self,
        in_channels: int = 3,
        dim: int = 192,
        depth: int = 12,
        num_heads: int = 6,
        mlp_ratio: float = 4.0,
        patch_size: int = 16,
        image_size: int = 256,
    ) -> None:
        super().__init__()
        check_integer('depth', depth, low=1, owner='PlainViT')
        self.grid = image_size // patch_size
        self.patch_embed = PatchEmbed(in_channels, dim, patch_size)
        self.pos_embed = nn.Parameter(torch.zeros(1, self.grid**2, dim))
        self.blocks = nn.ModuleList(Block(dim, num_heads, mlp_ratio) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        self.apply(initialise_linear)

    def forward(self, x: Tensor) -> Tensor:
        """The last map."""
        patches = self.patch_embed(x)
        height, width = patches.shape[-2:]
        tokens = patches.flatten(2).transpose(1, 2) + resize_positions(self.pos_embed, self.grid, (height, width))
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens).transpose(1, 2).unflatten(2, (height, width))


def pad_to_multiple(x: Tensor, size: int) -> Tensor:
    """Zeros at the right and the bottom so that the last two axes are multiples of ``size``."""
    height, width = x.shape[-2:]
    return F.pad(x, (0, -width % size, 0, -height % size))


def resize_positions(positions: Tensor, grid: int, size: tuple[int, int]) -> Tensor:
    """Position vectors (1, grid * grid, D) for a grid of ``size``, by bicubic interpolation: (1, h * w, D)."""
    if size == (grid, grid):
        return positions
    square = positions.transpose(1, 2).unflatten(2, (grid, grid))
    resized = F.interpolate(square.float(), size=size, mode='bicubic', align_corners=False)
    return resized.flatten(2).transpose(1, 2).to(positions.dtype)


def initialise_linear(module: nn.Module) -> None:
    """Truncated normal of 0.02 for weights of linear layers, 0 for their bias."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
