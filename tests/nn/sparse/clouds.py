"""Small clouds of voxels for the tests of the sparse layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from imbdense.nn.sparse import SparsePoints

Sample = tuple[Tensor, Tensor]


def surface(count: int, seed: int = 0, channels: int = 3, dtype: torch.dtype = torch.float64) -> Sample:
    """About ``count`` voxels of a wavy surface, in lexicographic order, with normal features."""
    generator = torch.Generator().manual_seed(seed)
    xy = torch.randint(0, int(count**0.5) + 1, (count, 2), generator=generator)
    z = (torch.sin(xy[:, 0] / 3.0) * 3 + torch.cos(xy[:, 1] / 2.0) * 2).long()
    coords = torch.unique(torch.cat([xy, z.unsqueeze(1)], 1), dim=0)
    return coords, torch.randn(len(coords), channels, generator=generator, dtype=dtype)


def grid(sizes: tuple[int, int, int], channels: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Sample:
    """A full box of voxels."""
    generator = torch.Generator().manual_seed(seed)
    coords = torch.cartesian_prod(*(torch.arange(size) for size in sizes))
    return coords, torch.randn(len(coords), channels, generator=generator, dtype=dtype)


def nothing(channels: int = 3, dtype: torch.dtype = torch.float64) -> Sample:
    """A sample without voxels."""
    return torch.empty(0, 3, dtype=torch.int64), torch.empty(0, channels, dtype=dtype)


def points(*samples: Sample) -> SparsePoints:
    """A batch."""
    return SparsePoints.from_samples([coords for coords, _ in samples], [feats for _, feats in samples])


def dense(sample: Sample, sizes: tuple[int, int, int]) -> Tensor:
    """(1, C, X, Y, Z) with zeros where no voxel is."""
    coords, feats = sample
    volume = feats.new_zeros(feats.shape[1], *sizes)
    volume[:, coords[:, 0], coords[:, 1], coords[:, 2]] = feats.t()
    return volume.unsqueeze(0)


def at(volume: Tensor, coords: Tensor) -> Tensor:
    """Rows (N, C) of a volume (1, C, X, Y, Z) at some voxels."""
    return volume[0, :, coords[:, 0], coords[:, 1], coords[:, 2]].t()


def seeded(cls: type, *args: Any, **options: Any) -> Any:
    """A module whose parameters are the same in every call, float64."""
    torch.manual_seed(0)
    return cls(*args, **options).double()
