"""Maps of three stages."""

from __future__ import annotations

import torch

DIMS = (8, 16, 32)


def pyramid(seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sizes = ((9, 7), (5, 4), (3, 2))
    return [torch.randn(2, dim, *size, generator=generator) for dim, size in zip(DIMS, sizes)]
