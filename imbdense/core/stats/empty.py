"""What to do with a class that was never counted."""

from __future__ import annotations

import torch
from torch import Tensor


def fill_empty_classes(counts: Tensor) -> Tensor:
    """Return (C,) float64 counts in which a class of count 0 counts once, so that its logarithm is finite.

    Where a distribution is given instead of counts, an empty class gets the share of the rarest class. No value is
    read back, so a GPU does not wait. All zero: all become one.
    """
    values = counts.to(torch.float64)
    rarest = torch.where(values > 0, values, torch.inf).min().clamp_max(1.0)
    return torch.where(values > 0, values, rarest)
