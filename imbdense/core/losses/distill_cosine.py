"""Distillation of directions: a feature should point where the teacher's points, wherever the teacher saw anything."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from imbdense.core.reduction import full_precision, zero_with_graph


def distill_cosine_loss(pred: Tensor, target: Tensor, *, valid: Tensor | None = None) -> Tensor:
    """Mean squared difference of unit vectors over rows and channels.

    ``mean_ic (f_ic / |f_i| - t_ic / |t_i|)^2 = (2 / C) mean_i (1 - cos(f_i, t_i))``, over the rows i with a target that
    is not all zeros.

    Args:
        pred: (P, C) float. target: (P, C); a row of zeros = nobody saw this point. valid: (P,) bool, rows to use; all.

    Returns:
        scalar float32 (float64 for float64) in [0, 4 / C], also under autocast; without any valid row an exact 0 that
        keeps the graph. Rows that are not valid get no gradient, whatever they hold. Normaliser: the valid rows of
        this rank, times C.

    Raises:
        ValueError: shapes that differ.

    Source: Chen et al., PointDC, ICCV 2023.
    """
    if pred.shape != target.shape or pred.ndim != 2:
        raise ValueError(
            f'distill_cosine_loss: pred and target must have one shape (P, C), but have {tuple(pred.shape)} and '
            f'{tuple(target.shape)}; does `dims` of the loss equal the channels of the feature volume?'
        )
    with torch.autocast(pred.device.type, enabled=False):
        seen = target.ne(0).any(1)
        if valid is not None:
            seen = seen & valid
        if not bool(seen.any()):
            return zero_with_graph(pred)
        x = F.normalize(full_precision(pred)[seen], dim=1, eps=1e-12)
        t = F.normalize(full_precision(target)[seen], dim=1, eps=1e-12)
        return (x - t).square().mean()
