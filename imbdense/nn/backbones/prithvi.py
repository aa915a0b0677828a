"""The encoder of Prithvi-EO for single images, in the names and shapes of its released weights.

Source: Szwarcman et al., Prithvi-EO-2.0: a versatile multi-temporal foundation model for earth observation
applications, 2024.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from imbdense.nn.backbones.vit import Block, PatchEmbed, pad_to_multiple

BANDS = ('blue', 'green', 'red', 'nir_narrow', 'swir_1', 'swir_2')
"""The bands it was trained on (HLS), in the order of its weights."""
TRAINED_SIZE = 224
"""Side of the images it was trained on, in pixels."""


class PrithviEncoder(nn.Module):
    """Vision transformer with fixed sine positions and a class token.

    Bands it knows share one patch embedding, whose channels are those of :data:`BANDS`; all others (heights, indices)
    have an embedding of their own that starts at 0, so that a model with released weights begins as if they were not
    there. Positions of other image sizes are the sines at evenly spaced places of the trained grid. The time and
    location encodings of the "TL" weights are left out, which the authors allow.

    Args:
        bands: name of each input channel; unknown names are extra bands.
        dim, depth, num_heads, mlp_ratio, patch_size: 1024 / 24 / 16 / 4 / 16 is the 300 M model.
        out_indices: blocks whose maps are returned; the last block's is normalised.

    forward: (N, len(bands), H, W) to maps (N, dim, ceil(H / p), ceil(W / p)).
    """

    def __init__(
        self,
        bands: Sequence[str] = BANDS,
        dim: int = 1024,
        depth: int = 24,
        num_heads: int = 16,
        mlp_ratio: float = 4.0,
        patch_size: int = 16,
        out_indices: Sequence[int] = (5, 11, 17, 23),
    ) -> None:
        super().__init__()
        check_out_indices(out_indices, depth, 'PrithviEncoder')
        self.known, self.extra = split_bands(bands, BANDS, 'PrithviEncoder')
        self.out_indices = tuple(out_indices)
        self.patch_embed = PatchEmbed(len(BANDS), dim, patch_size)
        self.extra_patch_embed = extra_patches(len(self.extra), dim, patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.blocks = nn.ModuleList(Block(dim, num_heads, mlp_ratio, eps=1e-5) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        nn.init.normal_(self.cls_token, std=0.02)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """One map per entry of ``out_indices``."""
        weight = self.patch_embed.proj.weight[:, [BANDS.index(name) for name, _ in self.known]]
        size = self.patch_embed.patch_size
        padded = pad_to_multiple(x, size)
        patches = nn.functional.conv2d(
            padded[:, [place for _, place in self.known]], weight, self.patch_embed.proj.bias, stride=size
        )
        if self.extra_patch_embed is not None:
            patches = patches + self.extra_patch_embed(padded[:, list(self.extra)])
        height, width = patches.shape[-2:]
        positions = sine_positions(patches.shape[1], height, width, TRAINED_SIZE // size).to(patches)
        tokens = patches.flatten(2).transpose(1, 2) + positions
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), tokens], dim=1)
        found = []
        for number, block in enumerate(self.blocks):
            tokens = block(tokens)
            if number in self.out_indices:
                last = number == len(self.blocks) - 1
                found.append(as_map(self.norm(tokens) if last else tokens, height, width))
        return tuple(found)


def sine_positions(dim: int, height: int, width: int, grid: int) -> Tensor:
    """(height * width, dim) float32 sines of column, row and time (0): 6/16, 6/16 and 4/16 of the channels.

    Places run from 0 to grid - 1, whatever the number of patches.

    Raises:
        ValueError: ``dim`` is no multiple of 16.
    """
    if dim % 16:
        raise ValueError(f'sine_positions: dim must be a multiple of 16, but is {dim}.')
    part = dim // 16
    rows = torch.linspace(0, grid - 1, height, dtype=torch.float64) if height != grid else torch.arange(grid).double()
    columns = torch.linspace(0, grid - 1, width, dtype=torch.float64) if width != grid else torch.arange(grid).double()
    across = _sines(6 * part, columns).expand(height, -1, -1)
    down = _sines(6 * part, rows)[:, None].expand(-1, width, -1)
    time = _sines(4 * part, torch.zeros(1, dtype=torch.float64)).expand(height, width, -1)
    return torch.cat([across, down, time], dim=-1).flatten(0, 1).float()


def _sines(dim: int, places: Tensor) -> Tensor:
    """(places, dim): sines, then cosines, of falling frequencies."""
    frequency = 1.0 / 10_000 ** (torch.arange(dim // 2, dtype=torch.float64) / (dim / 2))
    angle = places[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def split_bands(
    bands: Sequence[str], trained: Sequence[str], owner: str
) -> tuple[tuple[tuple[str, int], ...], tuple[int, ...]]:
    """((name, channel) of the bands a model was trained on, channels of the others).

    Raises:
        ValueError: a name twice, or none that the model knows.
    """
    if len(set(bands)) != len(bands):
        raise ValueError(f'{owner}: every band needs a name of its own, but got {list(bands)}.')
    known = tuple((name, place) for place, name in enumerate(bands) if name in trained)
    if not known:
        raise ValueError(f'{owner}: none of {list(bands)} is a band it was trained on; those are {list(trained)}.')
    return known, tuple(place for place, name in enumerate(bands) if name not in trained)


def extra_patches(count: int, dim: int, patch_size: int) -> nn.Conv2d | None:
    """A patch embedding without bias that starts at 0; ``None`` for no band."""
    if not count:
        return None
    layer = nn.Conv2d(count, dim, patch_size, stride=patch_size, bias=False)
    nn.init.zeros_(layer.weight)
    return layer


def as_map(tokens: Tensor, height: int, width: int) -> Tensor:
    """(N, 1 + h w, D) with a class token in front to (N, D, h, w)."""
    return tokens[:, 1:].transpose(1, 2).unflatten(2, (height, width))


def check_out_indices(out_indices: Sequence[int], depth: int, owner: str) -> None:
    """Raise unless they are different, ascending block numbers."""
    if list(out_indices) != sorted(set(out_indices)) or not all(0 <= index < depth for index in out_indices):
        raise ValueError(
            f'{owner}: out_indices must be ascending numbers below depth={depth}, but is {list(out_indices)}.'
        )
