"""The encoder of Clay, in the names and shapes of its released weights: patch embeddings made from wavelengths.

Source: Clay Foundation, Clay v1 and v1.5, 2024; dynamic embedding: Xiong et al., DOFA, 2024.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbdense.nn.backbones.prithvi import as_map, check_out_indices, extra_patches, split_bands
from imbdense.nn.backbones.vit import pad_to_multiple

WAVELENGTHS = {
    'blue': 0.493, 'green': 0.56, 'red': 0.665, 'rededge1': 0.704, 'rededge2': 0.74, 'rededge3': 0.783, 'nir': 0.842,
    'nir08': 0.865, 'swir16': 1.61, 'swir22': 2.19,
}  # fmt: skip
"""Centre of each band of Sentinel-2 in micrometres; near enough for the same bands of aerial cameras."""
WAVE_DIM, LATENT_TOKENS, WEIGHT_SCALE, METADATA = 128, 128, 0.02, 8
"""Channels of a wavelength; learned tokens of the generator; factor of what it makes; channels of time and place."""


class WavesTransformer(nn.Module):
    """Wavelength codes (C, 128) to patch weights (C, p p D) and a bias (D,)."""

    def __init__(self, output_dim: int, embed_dim: int) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(WAVE_DIM, 4, activation='gelu', dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.fc_weight, self.fc_bias = nn.Linear(WAVE_DIM, output_dim), nn.Linear(WAVE_DIM, embed_dim)
        self.weight_tokens = nn.Parameter(torch.randn(LATENT_TOKENS, WAVE_DIM) * 0.02)
        self.bias_token = nn.Parameter(torch.randn(1, WAVE_DIM) * 0.02)

    def forward(self, waves: Tensor) -> tuple[Tensor, Tensor]:
        """(weights, bias)."""
        tokens = torch.cat([self.weight_tokens, waves, self.bias_token])
        seen = self.encoder(tokens[None])[0]
        own = slice(LATENT_TOKENS, -1)
        return self.fc_weight(seen[own] + tokens[own]), self.fc_bias(seen[-1])


class FCBlock(nn.Module):
    """x + two linear layers with GELU behind each."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.l1, self.l2 = nn.Linear(size, size), nn.Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        """(C, size)."""
        return x + F.gelu(self.l2(F.gelu(self.l1(x))))


class DynamicEmbedding(nn.Module):
    """A patch embedding for whatever bands, made from their wavelengths."""

    def __init__(self, patch_size: int, dim: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.weight_generator = WavesTransformer(patch_size**2 * dim, dim)
        self.fclayer = FCBlock(WAVE_DIM)

    def forward(self, images: Tensor, waves: Tensor) -> Tensor:
        """(N, C, H, W) and C wavelengths to (N, D, H / p, W / p)."""
        weight, bias = self.weight_generator(self.fclayer(_sines(waves)))
        kernel = weight.unflatten(1, (-1, self.patch_size, self.patch_size)).transpose(0, 1)
        return F.conv2d(images, kernel * WEIGHT_SCALE, bias, stride=self.patch_size)


class Attention(nn.Module):
    """Self-attention without biases, its norm in front."""

    def __init__(self, dim: int, heads: int, dim_head: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.to_qkv = nn.Linear(dim, 3 * heads * dim_head, bias=False)
        self.to_out = nn.Linear(heads * dim_head, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, L, D)."""
        q, k, v = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.to_qkv(self.norm(x)).chunk(3, dim=-1)
        )
        return self.to_out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Norm, linear, GELU, linear."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, x: Tensor) -> Tensor:
        """(N, L, D)."""
        return self.net(x)


class Transformer(nn.Module):
    """Blocks and a last norm."""

    def __init__(self, dim: int, depth: int, heads: int, dim_head: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.layers = nn.ModuleList(
            nn.ModuleList([Attention(dim, heads, dim_head), FeedForward(dim, hidden)]) for _ in range(depth)
        )

    def forward(self, x: Tensor, out_indices: Sequence[int]) -> list[Tensor]:
        """Tokens behind each of these blocks; behind the last one normalised."""
        found = []
        for number, (attention, feed_forward) in enumerate(self.layers):
            x = x + attention(x)
            x = x + feed_forward(x)
            if number in out_indices:
                found.append(self.norm(x) if number == len(self.layers) - 1 else x)
        return found


class ClayEncoder(nn.Module):
    """Clay without its masking: bands with a wavelength through the dynamic embedding, others through one of their own.

    (The reference gives bands without a wavelength, such as heights, the wavelength 0.) Time and place, which the model
    takes as eight numbers, are unknown here and 0.

    Args:
        bands: name of each input channel; those of :data:`WAVELENGTHS` are known, all others are extra bands.
        gsd: size of a pixel in metres; the positions depend on it.
        dim, depth, heads, dim_head, mlp_ratio, patch_size: 1024 / 24 / 16 / 64 / 4 / 8 is v1.5; 768 / 12 / 12 the base
            model of v1.
        out_indices: blocks whose maps are returned; the last block's is normalised.

    forward: (N, len(bands), H, W) to maps (N, dim, ceil(H / p), ceil(W / p)).
    """

    waves: Tensor

    def __init__(
        self,
        bands: Sequence[str] = ('red', 'green', 'blue', 'nir'),
        gsd: float = 10.0,
        dim: int = 1024,
        depth: int = 24,
        heads: int = 16,
        dim_head: int = 64,
        mlp_ratio: float = 4.0,
        patch_size: int = 8,
        out_indices: Sequence[int] = (5, 11, 17, 23),
    ) -> None:
        super().__init__()
        check_out_indices(out_indices, depth, 'ClayEncoder')
        known, self.extra = split_bands(bands, tuple(WAVELENGTHS), 'ClayEncoder')
        self.channels = tuple(place for _, place in known)
        self.out_indices, self.gsd, self.dim = tuple(out_indices), float(gsd), dim
        self.register_buffer('waves', torch.tensor([WAVELENGTHS[name] for name, _ in known]), persistent=False)
        self.cls_token = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.patch_embedding = DynamicEmbedding(patch_size, dim)
        self.extra_patch_embed = extra_patches(len(self.extra), dim, patch_size)
        self.transformer = Transformer(dim, depth, heads, dim_head, int(dim * mlp_ratio))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """One map per entry of ``out_indices``."""
        x = pad_to_multiple(x, self.patch_embedding.patch_size)
        patches = self.patch_embedding(x[:, list(self.channels)], self.waves)
        if self.extra_patch_embed is not None:
            patches = patches + self.extra_patch_embed(x[:, list(self.extra)])
        height, width = patches.shape[-2:]
        positions = gsd_positions(height, width, self.dim - METADATA, self.gsd).to(patches)
        tokens = patches.flatten(2).transpose(1, 2) + F.pad(positions, (0, METADATA))
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), tokens], dim=1)
        return tuple(as_map(found, height, width) for found in self.transformer(tokens, self.out_indices))


def gsd_positions(height: int, width: int, dim: int, gsd: float) -> Tensor:
    """(height * width, dim) sines of column and row, whose frequencies grow with the size of a pixel.

    Raises:
        ValueError: ``dim`` is no multiple of 4.
    """
    if dim % 4:
        raise ValueError(f'gsd_positions: dim must be a multiple of 4, but is {dim}.')
    omega = torch.arange(dim // 4) / (dim // 4 - 1)
    omega = gsd / 10_000 ** (2 * omega / dim)
    down, across = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    y, x = down.flatten()[:, None] * omega, across.flatten()[:, None] * omega
    return torch.cat([x.sin(), x.cos(), y.sin(), y.cos()], dim=1)


def _sines(waves: Tensor) -> Tensor:
    """(C, 128) code of C wavelengths."""
    half = WAVE_DIM // 2
    omega = 1.0 / 10_000 ** (torch.arange(half, device=waves.device) / (half - 1))
    angle = waves[:, None] * omega
    return torch.cat([angle.sin(), angle.cos()], dim=1)
