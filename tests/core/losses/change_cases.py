"""Logits and labels of semantic change detection for the tests of its losses."""

from __future__ import annotations

import torch
from torch import Tensor

CLASSES = 4


def change_example(
    *, changed: float = 0.4, ignored: float = 0.1, dtype: torch.dtype = torch.float32, seed: int = 0,
    channels: int = CLASSES, shape: tuple[int, int, int] = (2, 6, 5),
) -> tuple[Tensor, list[Tensor], Tensor, list[Tensor]]:  # fmt: skip
    """Change logits, land logits per date, change labels, land labels per date (255 where unchanged)."""
    generator = torch.Generator().manual_seed(seed)

    def logits(count: int) -> Tensor:
        return torch.randn(shape[0], count, *shape[1:], generator=generator, dtype=dtype).requires_grad_()

    def chance() -> Tensor:
        return torch.rand(shape, generator=generator)

    change = (chance() < changed).long()
    lands = []
    for _ in range(2):
        land = torch.where(change == 1, torch.randint(0, CLASSES, shape, generator=generator), 255)
        land[chance() < ignored / 2] = 255
        lands.append(land)
    change[chance() < ignored] = 255
    return logits(2), [logits(channels), logits(channels)], change, lands


def certain(change: Tensor, lands: list[Tensor], sharpness: float = 20.0) -> tuple[Tensor, list[Tensor]]:
    """Logits of a model that is right and sure."""
    yes = torch.nn.functional.one_hot((change == 1).long(), 2).movedim(-1, 1)
    maps = [torch.nn.functional.one_hot(land.where(land != 255, 0), CLASSES).movedim(-1, 1) for land in lands]
    made = [(sharpness * item.float()).requires_grad_() for item in (yes, *maps)]
    return made[0], made[1:]
