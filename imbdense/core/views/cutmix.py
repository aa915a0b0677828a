"""CutMix of dense predictions: a rectangle of every image comes from another image of the batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from imbdense.core.checks import check_number

MAX_TRIES = 100


def cutmix_masks(
    count: int,
    height: int,
    width: int,
    *,
    probability: float = 0.5,
    area: tuple[float, float] = (0.02, 0.4),
    ratio: tuple[float, float] = (0.3, 1 / 0.3),
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Draw one rectangle per image, or none.

    With chance ``probability`` an image gets a rectangle of ``a * H * W`` pixels, a uniform in ``area``, height / width
    uniform in ``ratio``, its corner uniform. Where it does not fit, shape and corner are drawn again but not the area,
    or large rectangles would come seldom (after 100 times: none).

    Args:
        count: N images; ``height``, ``width``: H, W.
        probability: in [0, 1]; 0 = no image is mixed, 1 = every one.
        generator: on the CPU; ``None`` = torch's global one. Everything is drawn on the CPU, so a GPU does not wait.
        device: of the result.

    Returns:
        (N, H, W) bool, True where the pixel comes from the other image.

    Source: Yun et al., CutMix, ICCV 2019; with the sizes of UniMatch, CVPR 2023.
    """
    check_number('probability', probability, low=0.0, high=1.0, owner='cutmix_masks')
    masks = torch.zeros(count, height, width, dtype=torch.bool)
    mixed = (torch.rand(count, generator=generator) < probability).tolist()
    for mask, wanted in zip(masks, mixed):
        if wanted:
            top, left, tall, wide = _rectangle(height, width, area, ratio, generator)
            mask[top : top + tall, left : left + wide] = True
    return masks.to(device) if device is not None else masks


def paste(values: Tensor, partner: Tensor, mask: Tensor) -> Tensor:
    """``partner`` where ``mask`` is set, else ``values``; a new tensor.

    Args:
        values, partner: (N, H, W) or (N, C, H, W), equal shapes and dtypes.
        mask: (N, H, W) bool.
    """
    return torch.where(mask if values.ndim == 3 else mask[:, None], partner, values)


def _rectangle(
    height: int, width: int, area: tuple[float, float], ratio: tuple[float, float], generator: torch.Generator | None
) -> tuple[int, int, int, int]:
    """(top, left, height, width) of one rectangle that fits; of size 0 when none was found."""
    size = (area[0] + (area[1] - area[0]) * torch.rand((), generator=generator).item()) * height * width
    for _ in range(MAX_TRIES):
        draws = torch.rand(3, generator=generator).tolist()
        shape = ratio[0] + (ratio[1] - ratio[0]) * draws[0]
        tall, wide = int(math.sqrt(size * shape)), int(math.sqrt(size / shape))
        top, left = int(draws[1] * height), int(draws[2] * width)
        if top + tall <= height and left + wide <= width:
            return top, left, tall, wide
    return 0, 0, 0, 0
