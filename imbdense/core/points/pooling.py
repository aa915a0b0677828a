"""Means of rows over parts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from imbdense.core.reduction import full_precision


def pool_rows(rows: Tensor, part: Tensor, num_parts: int) -> tuple[Tensor, Tensor]:
    """Mean of (P, C) rows over the parts (P,) in [0, S), rows of part -1 left out: O(P C), no S x P matrix.

    Returns:
        (S, C) means (zeros for a part without rows) in float32 (float64 for float64), also under autocast, and (S,)
        int64 numbers of rows. Differentiable.
    """
    with torch.autocast(rows.device.type, enabled=False):
        inside = part >= 0
        rows, part = full_precision(rows)[inside], part[inside]
        count = torch.bincount(part, minlength=num_parts)
        total = rows.new_zeros(num_parts, rows.shape[1]).index_add(0, part, rows)
        return total / count.clamp_min(1)[:, None].to(rows.dtype), count


def pool_directions(rows: Tensor, part: Tensor, num_parts: int) -> tuple[Tensor, Tensor]:
    """Unit vector of the mean direction of each part: ``normalize(mean_i normalize(f_i))``, zeros for an empty part.

    Arguments and counts as in :func:`pool_rows`.
    """
    with torch.autocast(rows.device.type, enabled=False):
        mean, count = pool_rows(F.normalize(full_precision(rows), dim=1, eps=1e-12), part, num_parts)
        return F.normalize(mean, dim=1, eps=1e-12), count
