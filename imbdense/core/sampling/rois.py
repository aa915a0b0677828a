"""Class-balanced choice of a detector's positive samples (proposals, anchors)."""

from __future__ import annotations

import torch
from torch import Tensor


def draw_class_balanced(labels: Tensor, number: int, *, replace: bool) -> Tensor:
    """Return positions in ``labels`` so that every class that occurs there is drawn equally often.

    * ``replace=True``: exactly ``number`` draws; each of the K classes gets number // K or one more. A class goes
      through its samples in random order, again from the beginning when it has fewer than it may draw.
    * ``replace=False``: at most ``number`` different samples. A class with fewer than its part gives all, and the rest
      is divided over the others.

    Random numbers come from torch's global generator of the CPU, so that a run does not depend on the device.

    Args:
        labels: (P,) int64 class of each sample.
        number: how many to draw, >= 0.
        replace: whether a sample may be drawn more than once.

    Returns:
        (number,) or fewer int64 positions; none when there is no sample.
    """
    total = labels.numel()
    if total == 0 or number <= 0:
        return labels.new_zeros(0, dtype=torch.int64)
    shuffled = torch.randperm(total).to(labels.device)
    classes, counts = torch.unique(labels, return_counts=True)
    order = shuffled[torch.argsort(labels[shuffled], stable=True)]  # class by class, random inside a class
    starts = torch.cumsum(counts, 0) - counts
    if replace:
        turn = torch.randperm(classes.numel()).to(labels.device)
        draw = torch.arange(number, device=labels.device)
        klass = turn[draw % classes.numel()]
        return order[starts[klass] + (draw // classes.numel()) % counts[klass]]
    rank = torch.arange(total, device=labels.device) - torch.repeat_interleave(starts, counts)
    # The first of every class, then the second of every class, ...; the random part decides who is left out at the end.
    chosen = torch.argsort(rank + torch.rand(total).to(labels.device))[:number]
    return order[chosen]
