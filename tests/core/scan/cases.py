"""Inputs of the selective scan, and its definition written once more."""

from __future__ import annotations

import torch
from torch import Tensor


def scan_inputs(
    length: int, states: int = 2, *, batch: int = 2, groups: int = 3, channels: int = 4, largest_step: float = 1.0,
    dtype: torch.dtype = torch.float64, seed: int = 0,
) -> list[Tensor]:  # fmt: skip
    """u, delta, A, B, C, D, all wanting a gradient."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int, normal: bool = True) -> Tensor:
        return (torch.randn if normal else torch.rand)(shape, generator=generator, dtype=dtype)

    found = [
        draw(batch, groups, length, channels),
        draw(batch, groups, length, channels, normal=False) * largest_step,
        -draw(groups, channels, states, normal=False) - 0.1,
        draw(batch, groups, length, states),
        draw(batch, groups, length, states),
        draw(groups, channels),
    ]
    return [tensor.requires_grad_() for tensor in found]


def slow_scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """One number after the other."""
    y = torch.zeros_like(u)
    batch, groups, length, channels = u.shape
    for i in range(batch):
        for g in range(groups):
            for d in range(channels):
                for n in range(A.shape[-1]):
                    h = 0.0
                    for t in range(length):
                        step = float(delta[i, g, t, d])
                        h = float(torch.exp(step * A[g, d, n])) * h + step * float(B[i, g, t, n] * u[i, g, t, d])
                        y[i, g, t, d] += float(C[i, g, t, n]) * h
                y[i, g, :, d] += D[g, d] * u[i, g, :, d]
    return y
