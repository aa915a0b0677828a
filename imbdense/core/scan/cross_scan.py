"""Four orders in which an image is read as a sequence, and the way back."""

from __future__ import annotations

import torch
from torch import Tensor


def cross_scan(x: Tensor) -> Tensor:
    """Read a map row by row, column by column, and both backwards.

    ``[[1, 2], [3, 4]]`` gives ``[1, 2, 3, 4], [1, 3, 2, 4], [4, 3, 2, 1], [4, 2, 3, 1]``.

    Args:
        x: (N, H, W, D).

    Returns:
        (N, 4, H * W, D).

    Source: Liu et al., VMamba, NeurIPS 2024.
    """
    forward = torch.stack([x.flatten(1, 2), x.transpose(1, 2).flatten(1, 2)], 1)
    return torch.cat([forward, forward.flip(2)], 1)


def cross_merge(y: Tensor, height: int, width: int) -> Tensor:
    """Put the four sequences back in place and add them: ``cross_merge(cross_scan(x), H, W) == 4 * x``.

    Args:
        y: (N, 4, height * width, D).

    Returns:
        (N, height, width, D).
    """
    rows, columns = (y[:, :2] + y[:, 2:].flip(2)).unbind(1)
    return rows.unflatten(1, (height, width)) + columns.unflatten(1, (width, height)).transpose(1, 2)
