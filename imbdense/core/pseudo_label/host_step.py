"""A step counter that the host reads without waiting for the device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class HostStep(nn.Module):
    """Counts steps on the host; a persistent buffer carries the number into the state_dict.

    The buffer is only read when a checkpoint is loaded, so ``advance`` never makes a device wait.
    """

    value: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        self.register_buffer('value', torch.zeros((), dtype=torch.int64))

    def advance(self) -> int:
        """Add one; return the new number."""
        self.steps += 1
        self.value += 1
        return self.steps

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *arguments: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *arguments)
        self.steps = int(self.value)
