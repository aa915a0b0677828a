"""What every rule and refiner takes: the teacher's probabilities and where they are valid."""

from __future__ import annotations

import torch
from torch import Tensor


def checked_probabilities(
    probs: Tensor, valid: Tensor | None, num_classes: int, owner: str
) -> tuple[Tensor, Tensor]:
    """Return (probabilities float32 without graph, usable bool): usable = valid and finite.

    Args:
        probs: (N, K, *spatial) or (P, K) floats. valid: (N, *spatial) or (P,); ``None`` = everywhere.
        num_classes: K.
        owner: name in error messages.

    Raises:
        ValueError: the shapes do not fit.
    """
    if probs.ndim < 2 or probs.shape[1] != num_classes or not probs.is_floating_point():
        raise ValueError(
            f'{owner}: probs must be floats (N, {num_classes}, *spatial) or (P, {num_classes}), '
            f'but are {probs.dtype} {tuple(probs.shape)}.'
        )
    shape = (probs.shape[0], *probs.shape[2:])
    if valid is not None and tuple(valid.shape) != shape:
        raise ValueError(f'{owner}: valid must have shape {shape}, but has {tuple(valid.shape)}.')
    values = probs.detach().float()
    usable = torch.isfinite(values.amax(1))
    return values, usable if valid is None else usable & valid.bool()
