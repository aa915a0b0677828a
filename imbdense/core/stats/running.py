"""Class counts gathered while training, equal on every rank and restored on resume."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imbdense.core.stats.ranks import sum_over_ranks


class RunningClassStats(nn.Module):
    """int64 counts per class seen in training targets.

    State: one persistent buffer ``counts`` (C,) int64 (exact to 9e18, in the state_dict, untouched by AMP).
    Across ranks: the *increment* of each update is summed over all ranks before it is added, because mmengine wraps
    DDP with ``broadcast_buffers=False``; so the buffer is equal on all ranks, whatever each rank saw. Every rank must
    therefore call :meth:`update` equally often. In eval mode :meth:`update` does nothing.

    Args:
        num_classes: C > 0.
        initial: (C,) counts to begin with; default zero.
    """

    counts: Tensor

    def __init__(self, num_classes: int, initial: Tensor | None = None) -> None:
        super().__init__()
        if num_classes < 1:
            raise ValueError(f'RunningClassStats: num_classes must be >= 1, but got {num_classes}.')
        start = torch.zeros(num_classes, dtype=torch.int64) if initial is None else initial.to(torch.int64).clone()
        if tuple(start.shape) != (num_classes,):
            raise ValueError(f'RunningClassStats: initial must have shape ({num_classes},), has {tuple(start.shape)}.')
        self.register_buffer('counts', start)

    @torch.no_grad()
    def update(self, target: Tensor, ignore_index: int = 255) -> None:
        """Add the class indices in ``target`` (any shape); ``ignore_index`` and values outside [0, C) do not count."""
        if not self.training:
            return
        classes = self.counts.numel()
        # Values outside [0, C) go to two extra bins, and no bincount: it would read back the largest value from a GPU.
        bins = target.reshape(-1).to(torch.int64).clamp(-1, classes) + 1
        seen = self.counts.new_zeros(classes + 2).scatter_add_(0, bins, torch.ones_like(bins))
        increment = seen[1 : classes + 1].contiguous()
        if 0 <= ignore_index < classes:
            increment[ignore_index] = 0
        self.counts += sum_over_ranks(increment)[0]

    def prior(self, *, empty_class: float = 1.0) -> Tensor:
        """pi = n / sum(n) as float64 (C,); a class not seen so far counts ``empty_class`` times."""
        values = self.counts.to(torch.float64)
        values = torch.where(values == 0, torch.full_like(values, empty_class), values)
        return values / values.sum()
