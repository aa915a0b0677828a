"""Features per region: how much of each class lies in every cell of a feature map, and mean features from that.

Feature maps are smaller than label maps. Instead of enlarging d feature channels to the label size, the labels are
counted per feature cell; a mean of features weighted by these counts is the mean over the pixels of nearest-neighbour
enlarged features, at a fraction of the memory.
"""

from __future__ import annotations

import torch
from torch import Tensor


def cell_class_counts(target: Tensor, size: tuple[int, int], num_classes: int, ignore_index: int = 255) -> Tensor:
    """Return how many pixels of each class lie in each cell of a grid, float32 (B, K, h, w).

    Pixel (y, x) belongs to the cell (floor(y h / H), floor(x w / W)). Where h divides H and w divides W this is
    ``h w / (H W)`` average pooling of the one-hot label, without ever making it.

    Args:
        target: (B, H, W) integer class indices.
        size: (h, w) of the grid; may also be larger than the label.
        num_classes: K. Values outside [0, K) and ``ignore_index`` count nothing.
        ignore_index: value left out.

    Raises:
        ValueError: ``target`` is not (B, H, W).
        TypeError: ``target`` is not an integer tensor.
    """
    if target.ndim != 3:
        raise ValueError(f'cell_class_counts: target must be (B, H, W), but has shape {tuple(target.shape)}.')
    if target.is_floating_point() or target.is_complex():
        raise TypeError(f'cell_class_counts: target must hold integer class indices, but is {target.dtype}.')
    batch, height, width = target.shape
    rows, columns = size
    device = target.device
    row = torch.arange(height, device=device) * rows // max(height, 1)
    column = torch.arange(width, device=device) * columns // max(width, 1)
    cell = (row[:, None] * columns + column[None, :])[None] + (
        torch.arange(batch, device=device) * rows * columns
    )[:, None, None]
    known = (target >= 0) & (target < num_classes) & (target != ignore_index)
    # A further class takes what does not count: no boolean indexing, so a device does not wait.
    index = cell * (num_classes + 1) + torch.where(known, target, num_classes)
    counts = torch.bincount(index.reshape(-1), minlength=batch * rows * columns * (num_classes + 1))
    counts = counts.reshape(batch, rows, columns, num_classes + 1)[..., :num_classes]
    return counts.permute(0, 3, 1, 2).to(torch.float32)


def region_means(features: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean feature of every (image, class) and how many pixels it has: (B, K, D) and (B, K).

    A class without a pixel in an image has the mean 0 and the count 0.

    Args:
        features: (B, D, h, w), any float type; the sums run in float32.
        counts: (B, K, h, w) weights of the cells, from :func:`cell_class_counts`.
    """
    weights = counts.flatten(2).to(torch.float32)
    # Half precision under autocast would round sums of thousands of cells.
    with torch.autocast(features.device.type, enabled=False):
        sums = torch.einsum('bkp,bdp->bkd', weights, features.flatten(2).float())
    amount = weights.sum(2)
    return sums / amount.clamp_min(1.0)[..., None], amount


def class_means(features: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean feature of every class over the whole batch and its pixels: (K, D) and (K,).

    Arguments as in :func:`region_means`; an absent class has the mean 0 and the count 0. Differentiable in
    ``features``.
    """
    weights = counts.flatten(2).to(torch.float32)
    with torch.autocast(features.device.type, enabled=False):
        sums = torch.einsum('bkp,bdp->kd', weights, features.flatten(2).float())
    amount = weights.sum(dim=(0, 2))
    return sums / amount.clamp_min(1.0)[:, None], amount


def draw_per_group(groups: Tensor, limit: int, generator: torch.Generator) -> Tensor:
    """Return the indices of at most ``limit`` uniformly drawn elements of every group, ascending.

    Args:
        groups: (P,) integer group of each element, on the CPU; negative = not drawn.
        limit: >= 1.
        generator: source of the draw.
    """
    order = torch.randperm(groups.numel(), generator=generator)
    order = order[torch.argsort(groups[order], stable=True)]
    ordered = groups[order]
    start = torch.searchsorted(ordered, ordered)  # where the group of each element begins
    keep = (torch.arange(ordered.numel()) - start < limit) & (ordered >= 0)
    return order[keep].sort().values
