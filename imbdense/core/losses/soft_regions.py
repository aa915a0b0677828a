"""Regions without labels: the mean feature of each class weighted by how probable it is in each pixel."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.reduction import full_precision
from imbdense.core.regions import class_pixels_per_cell


def soft_region_means(features: Tensor, logits: Tensor) -> Tensor:
    """Return f_nc = sum_x p_nc(x) f_n(x) / (sum_x p_nc(x) + 1e-12) with p = softmax(logits), (N, C, D) float32.

    Every class has a region in every image, also one that is not there: its pixels are those taken for it most. The
    gradient reaches features and logits.

    Args:
        features: (N, D, *spatial) float.
        logits: (N, C, *spatial), of the same size.

    Raises:
        ValueError: the sizes differ.

    Source: Cui et al., Region rebalance for long-tailed semantic segmentation, 2022 (its second part).
    """
    if features.shape[:1] + features.shape[2:] != logits.shape[:1] + logits.shape[2:]:
        raise ValueError(
            f'soft_region_means: features (N, D, *spatial) and logits (N, C, *spatial) must have the same images and '
            f'size, but are {tuple(features.shape)} and {tuple(logits.shape)}.'
        )
    probability = full_precision(logits).softmax(1).flatten(2)
    flat = full_precision(features).flatten(2).to(probability.dtype)
    with torch.autocast(features.device.type, enabled=False):
        sums = torch.bmm(probability, flat.movedim(1, 2))
    return sums / (probability.sum(2, keepdim=True) + 1e-12)


@torch.no_grad()
def soft_region_labels(
    target: Tensor, num_classes: int, *, absent_weight: float = 1.0, ignore_index: int = 255
) -> tuple[Tensor, Tensor]:
    """Return labels (N, C) int64 and weights (N, C) float32 of the regions of :func:`soft_region_means`.

    The region of class c is labelled c where the class is in the image, else C ("absent") with ``absent_weight``. An
    image without any valid pixel tells nothing about what is absent: its regions weigh 0.

    Args:
        target: (N, *spatial) class indices; ``ignore_index`` and values outside [0, C) belong to none.
    """
    one = torch.Size((1,) * (target.ndim - 1))
    pixels = class_pixels_per_cell(target, num_classes, one, ignore_index=ignore_index).flatten(1)
    present = pixels > 0
    labels = torch.where(present, torch.arange(num_classes, device=target.device), num_classes)
    weights = torch.where(present, 1.0, absent_weight) * present.any(1, keepdim=True)
    return labels, weights
