"""MoCo's queue: the last keys of all ranks, as negatives."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbdense.core.checks import check_integer


class KeyQueue(nn.Module):
    """The last ``size`` keys, first in, first out; it begins with random unit vectors, as MoCo's does.

    The batch need not divide ``size``: a push that reaches the end goes on at the start. Of more than ``size`` rows the
    last are kept. Nothing is read back from the device.

    State (persistent): ``keys`` (K, D) float32, ``entered`` () int64 = rows pushed so far; the next goes to place
    ``entered % size``. Ranks: push what all ranks have (:func:`imbdense.core.stats.gather_over_ranks`), then the
    queues are equal, as are the first vectors (drawn from a fixed seed). A resumed run goes on with the stored keys.

    Args:
        channels: D >= 1.
        size: K >= 1.

    Source: He et al., Momentum contrast for unsupervised visual representation learning, CVPR 2020.
    """

    keys: Tensor
    entered: Tensor

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        check_integer('channels', channels, low=1, owner='KeyQueue')
        self.size = check_integer('size', size, low=1, owner='KeyQueue')
        first = torch.randn(size, channels, generator=torch.Generator().manual_seed(0))
        self.register_buffer('keys', F.normalize(first, dim=1))
        self.register_buffer('entered', torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def push(self, rows: Tensor) -> None:
        """Take in (P, D) keys.

        Raises:
            ValueError: the shape does not fit.
        """
        if rows.ndim != 2 or rows.shape[1] != self.keys.shape[1]:
            raise ValueError(f'KeyQueue: expected (P, {self.keys.shape[1]}) keys, but got {tuple(rows.shape)}.')
        number = rows.shape[0]
        kept = min(number, self.size)
        places = (self.entered + torch.arange(number - kept, number, device=self.keys.device)) % self.size
        self.keys.index_copy_(0, places, rows[number - kept :].detach().to(self.keys))
        self.entered += number

    def snapshot(self) -> Tensor:
        """(K, D): a copy that stays as it is when keys are pushed, so that a loss may be differentiated afterwards."""
        return self.keys.clone()
