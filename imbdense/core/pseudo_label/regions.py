"""Probabilities per region (square cells), and back to the pixels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

REGION_SIZE = 32


def pool_regions(probs: Tensor, valid: Tensor, size: int = REGION_SIZE) -> tuple[Tensor, Tensor]:
    """Mean probability of the valid pixels of each cell of size x size.

    Args:
        probs: (N, K, H, W), (N, K, D, H, W) or (N, K, L); cells at the far border may be smaller.
        valid: bool (N, *spatial).
        size: edge of a cell, >= 1.

    Returns:
        (means (N, K, *cells), mass (N, *cells)): the mass is the valid share of a full cell; cells without a valid
        pixel have mass 0 and equal means.
    """
    dims = probs.ndim - 2
    pool: Callable[..., Tensor] = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[dims - 1]
    margin = [part for length in reversed(probs.shape[2:]) for part in (0, -length % size)]
    mask = valid.unsqueeze(1)
    held = functional.pad(torch.where(mask, probs, 0.0), margin)
    mass = pool(functional.pad(mask.to(probs.dtype), margin), size)
    sums = pool(held, size)
    means = torch.where(mass > 0, sums / mass.clamp_min(1e-12), 1.0 / probs.shape[1])
    return means, mass.squeeze(1)


def refine_by_regions(
    probs: Tensor, valid: Tensor, refine: Callable[[Tensor, Tensor], Tensor], size: int = REGION_SIZE
) -> Tensor:
    """Refine regions and carry the change over to their pixels.

    Each pixel's probabilities are multiplied by refined / original of its cell, and normalised.

    Args:
        probs: (N, K, *spatial) with one to three spatial dims, float32.
        valid: bool (N, *spatial).
        refine: maps region probabilities (R, K) and masses (R,) to refined ones (R, K).
        size: edge of a cell.

    Returns:
        float32, shape of ``probs``.
    """
    means, mass = pool_regions(probs, valid, size)
    rows = means.movedim(1, -1).reshape(-1, probs.shape[1])
    refined = refine(rows, mass.flatten()).to(probs)
    ratio = (refined / rows.clamp_min(1e-12)).view(means.movedim(1, -1).shape).movedim(-1, 1)
    for axis, length in enumerate(probs.shape[2:], start=2):
        ratio = ratio.repeat_interleave(size, axis).narrow(axis, 0, length)
    weighed = probs * ratio
    return weighed / weighed.sum(1, keepdim=True).clamp_min(1e-12)
