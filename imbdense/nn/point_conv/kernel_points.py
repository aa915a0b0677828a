"""Where the points of a rigid kernel lie."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache
def _unit_kernel(count: int, seed: int, steps: int = 400) -> tuple[tuple[float, float, float], ...]:
    """See :func:`kernel_points`; on the unit sphere."""
    generator = torch.Generator().manual_seed(seed)
    shell = torch.nn.functional.normalize(torch.randn(count - 1, 3, dtype=torch.float64, generator=generator), dim=1)
    length = 0.3
    for _ in range(steps):
        gap = shell[:, None] - shell[None]
        squared = (gap**2).sum(-1) + torch.eye(count - 1, dtype=torch.float64)
        push = (gap / squared[..., None] ** 2).sum(1)  # minus the gradient of sum 1 / d^2, up to a factor
        push = push - (push * shell).sum(1, keepdim=True) * shell
        step = length * push / push.norm(dim=1).max().clamp_min(1e-9)
        shell = torch.nn.functional.normalize(shell + step, dim=1)
        length *= 0.985
    return ((0.0, 0.0, 0.0), *(tuple(row) for row in shell.tolist()))


def kernel_points(count: int, radius: float, seed: int = 0) -> Tensor:
    """Return (count, 3) float32: one point in the centre, the others spread on a sphere of ``radius``.

    They minimise the sum of 1 / d^2 over all pairs by gradient steps along the sphere from a seeded start, so the
    same arguments give the same points on every machine up to rounding (they are buffers of a network anyhow).

    Raises:
        ValueError: fewer than two points.
    """
    if count < 2:
        raise ValueError(f'kernel_points: a kernel needs at least 2 points, but got {count}.')
    return (radius * torch.tensor(_unit_kernel(count, seed), dtype=torch.float64)).float()
