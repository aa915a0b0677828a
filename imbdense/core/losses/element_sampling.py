"""Which elements of a batch a contrastive loss looks at: a few per class, half of them misclassified ones."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import check_integer
from imbdense.core.reduction import count_values


def sample_elements(
    target: Tensor,
    num_classes: int,
    *,
    wrong: Tensor | None = None,
    per_class: int = 64,
    most: int = 2048,
    ignore_index: int = 255,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return the indices (int64, ascending) of the elements drawn from the flat ``target`` (P,).

    At most ``per_class`` elements of each class, drawn without repetition, uniformly inside the class; up to half of
    them from the elements where ``wrong`` (P,) bool, as far as there are any. A class with fewer than two elements is
    left out: it has no positive pair. When more than ``most`` would be drawn, every class gets ``most`` // (classes
    that occur) at most. Reading how many were drawn makes a GPU wait once.

    Args:
        generator: for the draw; ``None`` = torch's own on the device of ``target``, which a training seed fixes.
    """
    check_integer('per_class', per_class, low=2, owner='sample_elements')
    check_integer('most', most, low=2, owner='sample_elements')
    known = (target != ignore_index) & (target >= 0) & (target < num_classes)
    label = torch.where(known, target, num_classes).long()
    counts = count_values(label, num_classes + 1)
    counts[num_classes] = 0
    present = (counts >= 2).sum().clamp_min(1)
    quota = torch.div(most, present, rounding_mode='floor').clamp(2, per_class)
    quota = torch.where(counts >= 2, quota, 0)
    hard = torch.zeros_like(known) if wrong is None else wrong & known

    # Thin the crowd first, so that only some thousands are sorted: four times the quota of each class, hard and easy.
    group = label * 2 + hard
    members = count_values(group, 2 * num_classes + 2)
    kept = (4 * quota + 16).repeat_interleave(2) / members.clamp_min(1)
    chance = torch.rand(label.shape, generator=generator, device=label.device, dtype=torch.float64)
    kept[2 * num_classes :] = 0
    some = torch.nonzero(chance < kept[group]).flatten()
    label, hard = label[some], hard[some]
    key = torch.rand(label.shape, generator=generator, device=label.device, dtype=torch.float64)

    # Hard elements first, up to half of the quota; then everything that was not taken, in random order.
    first = _rank_in_class(label, torch.where(hard, key, 2 + key), num_classes)
    taken = hard & (first < torch.div(quota + 1, 2, rounding_mode='floor')[label])
    order = _rank_in_class(label, torch.where(taken, key - 1, key), num_classes)
    return some[order < quota[label]]


def _rank_in_class(label: Tensor, key: Tensor, num_classes: int) -> Tensor:
    """Rank (0 = smallest ``key``, which lies in (-1, 3)) of each element among those of its label."""
    order = torch.argsort(label * 5.0 + key)
    counts = count_values(label, num_classes + 1)
    start = counts.cumsum(0) - counts
    place = torch.empty_like(order)
    place[order] = torch.arange(order.numel(), device=order.device)
    return place - start[label]
