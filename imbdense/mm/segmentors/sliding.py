"""Windows over an image whose probabilities are blended; cost grows as the area."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

BLENDS = ('hann', 'mean')
TINY = 1e-12


def slide_probabilities(
    images: Tensor,
    predict: Callable[[Tensor], Sequence[Tensor]],
    crop_size: tuple[int, int],
    stride: tuple[int, int],
    blend: str = 'hann',
) -> list[Tensor]:
    """Weighted mean of the probabilities of overlapping windows, per output map.

    All windows have exactly ``crop_size``: the last of each row and column is moved to the border, and an image that is
    smaller is padded with zeros at the right and the bottom, which are cut off again.

    Args:
        images: (N, C, H, W).
        predict: window (N, C, *crop_size) -> maps of logits (N, K_j, *crop_size).
        crop_size, stride: (height, width).
        blend: 'hann' (the middle of a window counts most) or 'mean'.

    Returns:
        one (N, K_j, H, W) per map, float32, summing to one over K_j.
    """
    height, width = images.shape[-2:]
    padding = (0, max(crop_size[1] - width, 0), 0, max(crop_size[0] - height, 0))
    images = F.pad(images, padding)
    weight = window_weight(crop_size, blend).to(images.device)
    totals: list[Tensor] = []
    mass = images.new_zeros(images.shape[-2:], dtype=torch.float32)
    for top in window_starts(images.shape[-2], crop_size[0], stride[0]):
        for left in window_starts(images.shape[-1], crop_size[1], stride[1]):
            place = (..., slice(top, top + crop_size[0]), slice(left, left + crop_size[1]))
            maps = [logits.float().softmax(1) for logits in predict(images[place])]
            if not totals:
                totals = [part.new_zeros((*part.shape[:2], *images.shape[-2:])) for part in maps]
            for total, part in zip(totals, maps):
                total[place] += part * weight
            mass[place] += weight
    return [(total / mass)[..., :height, :width] for total in totals]


def window_starts(size: int, window: int, stride: int) -> list[int]:
    """Starts of windows that cover [0, size); the last one ends at ``size``."""
    last = size - window
    return [*range(0, last, stride), last]


def window_weight(size: tuple[int, int], blend: str) -> Tensor:
    """(height, width) > 0: ones, or the product of two Hann windows without their zeros."""
    if blend == 'mean':
        return torch.ones(size)
    rows, columns = (torch.hann_window(length + 2, periodic=False)[1:-1].clamp_min(TINY) for length in size)
    return rows[:, None] * columns
