"""Labels of voxels from the labels of their points: the majority, and the rarest for sampling."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import check_counts, check_number

IGNORED = -1


def majority_labels(labels: Tensor, inverse: Tensor, voxels: int) -> Tensor:
    """The most frequent label of each voxel, (V,) int64; ties to the smaller id; -1 only where nothing else is.

    Args:
        labels: (N,) int64 >= -1. inverse: (N,) voxel of each point. voxels: V.
    """
    span = int(labels.max()) + 2 if labels.numel() else 1
    votes, counts = torch.unique(inverse * span + (labels + 1), return_counts=True)
    label = votes % span - 1
    # one number that is larger for more votes, then for the smaller id; ignored points lose against every vote
    score = torch.where(label == IGNORED, 0, counts * span + (span - 1 - label))
    best = score.new_full((voxels,), -1).scatter_reduce_(0, votes // span, score, 'amax')
    return torch.where(best > 0, span - 1 - best % span, IGNORED)


def rarest_labels(labels: Tensor, inverse: Tensor, voxels: int, class_counts: Tensor) -> Tensor:
    """The label of each voxel's points that is rarest in ``class_counts``, (V,) int64; ties to the smaller id.

    -1 where all points are ignored. A sampler that draws centres by this label sees a mast of one point that the
    majority would have hidden.

    Raises:
        ValueError: a label without a count.
    """
    if labels.numel() and int(labels.max()) >= len(class_counts):
        raise ValueError(
            f'grid_sample: labels hold class {int(labels.max())}, but keep_rare has {len(class_counts)} counts.'
        )
    rank = torch.argsort(class_counts, stable=True).argsort().to(labels.device)  # 0 = rarest
    lowest = len(class_counts)
    score = torch.where(labels == IGNORED, lowest, rank[labels.clamp_min(0)]) if lowest else labels + 1
    best = score.new_full((voxels,), lowest).scatter_reduce_(0, inverse, score, 'amin')
    by_rank = torch.cat([torch.argsort(class_counts, stable=True), class_counts.new_tensor([IGNORED])]).long()
    return by_rank.to(labels.device)[best]


def rare_weights(rarest: Tensor, class_counts: Tensor, exponent: float = 0.5) -> Tensor:
    """Chance of each voxel to be drawn, (V,) float64 with sum 1: ``w_v = count[rarest_v]^-exponent / Σ_u w_u``.

    With exponent 0 every labelled voxel is equal, with 1 every class gets the same total where voxels follow the
    counts. Voxels without a label get 0; without any labelled voxel all are 0.

    Args:
        rarest: (V,) of :attr:`GridSample.rarest <imbdense.core.points.GridSample>`. class_counts: (C,) of the data set;
            classes that occur in ``rarest`` count as at least 1. exponent: >= 0.
    """
    check_number('exponent', exponent, low=0.0, owner='rare_weights')
    weights = check_counts(class_counts, owner='rare_weights').to(rarest.device).clamp_min(1.0) ** -exponent
    drawn = torch.where(rarest == IGNORED, 0.0, weights[rarest.clamp_min(0)])
    return drawn / drawn.sum().clamp_min(torch.finfo(torch.float64).tiny)
