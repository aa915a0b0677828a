"""Layers that work on each voxel alone, and the pool over a cloud."""

from __future__ import annotations

from contextvars import ContextVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbdense.core.checks import check_choice
from imbdense.core.reduction import full_precision
from imbdense.nn.sparse.sparse_points import SparsePoints

RECOMPUTING: ContextVar[bool] = ContextVar('recomputing', default=False)
"""True while a checkpoint computes a block for the second time: statistics have been learnt already."""


class PointLinear(nn.Linear):
    """``torch.nn.Linear`` on the features of :class:`SparsePoints`."""

    def forward(self, points: SparsePoints) -> SparsePoints:  # type: ignore[override]
        """(N, Cin) -> (N, Cout)."""
        return points.replace(super().forward(points.feats))


class PointBatchNorm(nn.BatchNorm1d):
    """Batch normalisation over all voxels of the batch, in float32 also under autocast (float64 stays).

    While training, a batch of fewer than two voxels has no variance: it is normalised with the running statistics,
    which stay as they are. State: running mean and variance, as in torch; not reduced across ranks, and learnt once
    where a checkpoint computes the layer twice.

    Args:
        momentum: weight of the new statistics; 0.02 to 0.1 is used for point clouds.
    """

    def __init__(self, channels: int, momentum: float = 0.02, eps: float = 1e-5) -> None:
        super().__init__(channels, eps=eps, momentum=momentum)

    def forward(self, points: SparsePoints) -> SparsePoints:  # type: ignore[override]
        """(N, C) -> (N, C)."""
        feats = full_precision(points.feats)
        if not self.training or (len(points) >= 2 and not RECOMPUTING.get()):
            return points.replace(super().forward(feats))
        mean, var = self.running_mean.clone(), self.running_var.clone()  # type: ignore[union-attr]
        return points.replace(F.batch_norm(feats, mean, var, self.weight, self.bias, len(points) >= 2, 0.0, self.eps))


class PointReLU(nn.ReLU):
    """``torch.nn.ReLU`` on the features of :class:`SparsePoints`."""

    def forward(self, points: SparsePoints) -> SparsePoints:  # type: ignore[override]
        """(N, C) -> (N, C)."""
        return points.replace(super().forward(points.feats))


class GlobalPool(nn.Module):
    """Mean or maximum over the voxels of each sample, (B, C) float32; an empty sample gives zeros.

    Args:
        reduce: 'mean' or 'max'.
    """

    def __init__(self, reduce: str = 'mean') -> None:
        super().__init__()
        self.reduce = check_choice('reduce', reduce, ('mean', 'max'), owner='GlobalPool')

    def forward(self, points: SparsePoints) -> Tensor:
        """(N, C) -> (B, C)."""
        feats, sample = full_precision(points.feats), points.coords[:, 0]
        out = feats.new_zeros(points.batch_size, feats.shape[1])
        if self.reduce == 'max':
            return out.scatter_reduce(0, sample.unsqueeze(1).expand_as(feats), feats, 'amax', include_self=False)
        counts = torch.bincount(sample, minlength=len(out)).clamp_min(1)
        return out.index_add(0, sample, feats) / counts.unsqueeze(1)
