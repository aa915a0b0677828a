"""Moving average of the share of elements that are confidently predicted as each class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_number
from imbdense.core.reduction import count_values
from imbdense.core.stats import sum_over_ranks


class RunningShare(nn.Module):
    """share_c <- m * share_c + (1 - m) * (elements confidently predicted as c) / (valid elements), over all ranks.

    State: ``share`` (K,) float32, persistent, begins at 0. A step without a valid element changes nothing.

    Args:
        num_classes: K.
        momentum: m in [0, 1).
        owner: for messages.
    """

    share: Tensor

    def __init__(self, num_classes: int, momentum: float = 0.999, owner: str = 'RunningShare') -> None:
        super().__init__()
        self.momentum = check_number('momentum', momentum, low=0.0, high=1.0, owner=owner)
        self.register_buffer('share', torch.zeros(num_classes))

    @torch.no_grad()
    def update(self, predicted: Tensor, confident: Tensor, valid: Tensor) -> None:
        """Add a step: classes (int64), and which elements are confident and which valid (bool), all of one shape."""
        classes = self.share.numel()
        counts = count_values(torch.where(confident, predicted, classes), classes + 1)
        counts[classes] = valid.sum()
        counts = sum_over_ranks(counts)[0].double()
        now = (counts[:classes] / counts[classes].clamp_min(1.0)).to(self.share)
        self.share.copy_(torch.where(counts[classes] > 0, torch.lerp(now, self.share, self.momentum), self.share))
