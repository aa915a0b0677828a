"""Mean feature of each class in each image (or in the batch): regions as samples, one per class and image."""

from __future__ import annotations

import torch
from torch import Tensor

from imbdense.core.checks import check_choice
from imbdense.core.reduction import count_values


def region_means(
    features: Tensor, target: Tensor, num_classes: int, *, ignore_index: int = 255, per: str = 'image'
) -> tuple[Tensor, Tensor, Tensor]:
    """Return (means (R, D) float32, labels (R,), pixels (R,) int64) of the regions that exist.

    A region is the set of all pixels of one class in one image ('image') or in the whole batch ('batch'). However
    large it is, it is one sample, so a rare class is as frequent as the images that hold it.

    Args:
        features: (N, D, *spatial) float.
        target: (N, *spatial) class indices, of the same size or finer: a pixel then has the feature of the cell it
            lies in, so an object smaller than a cell still makes a region. ``ignore_index`` and values outside [0, C)
            belong to none.
        per: 'image' or 'batch'.

    Without any valid pixel R is 0; the means keep the graph. Reading R makes a GPU wait once.
    """
    check_choice('per', per, ('image', 'batch'), owner='region_means')
    sums, amount = region_sums(features, target, num_classes, ignore_index=ignore_index)
    if per == 'batch':
        sums, amount = sums.sum(0, keepdim=True), amount.sum(0, keepdim=True)
    exists = torch.nonzero(amount.flatten()).flatten()
    amount = amount.flatten()[exists]
    means = sums.flatten(0, 1)[exists] / amount.unsqueeze(1).to(sums.dtype)
    return means, exists % num_classes, amount


def region_sums(
    features: Tensor, target: Tensor, num_classes: int, *, ignore_index: int = 255
) -> tuple[Tensor, Tensor]:
    """Return the summed features (N, C, D) float32 and the pixels (N, C) int64 of each class in each image.

    Arguments as in :func:`region_means`; a class that is not in an image has sum and pixels 0, so the shapes do not
    depend on the labels.
    """
    pixels = class_pixels_per_cell(target, num_classes, features.shape[2:], ignore_index=ignore_index).flatten(2)
    flat = features.float().flatten(2)
    with torch.autocast(features.device.type, enabled=False):
        return torch.bmm(pixels.to(flat.dtype), flat.movedim(1, 2)), pixels.sum(2)


def class_pixels_per_cell(
    target: Tensor, num_classes: int, size: torch.Size, *, ignore_index: int = 255
) -> Tensor:
    """Count the pixels of each class in each cell of a coarser grid, (N, C, *size) int64.

    Label pixel p lies in cell floor(p * cells / pixels) of each axis. One counting pass over the labels: no one-hot
    map of label size is made.
    """
    known = (target != ignore_index) & (target >= 0) & (target < num_classes)
    cells = 1
    cell = torch.zeros_like(target, dtype=torch.int64)
    for axis, (pixels, own) in enumerate(zip(target.shape[1:], size, strict=True), start=1):
        place = torch.div(torch.arange(pixels, device=target.device) * own, pixels, rounding_mode='floor')
        cell = cell * own + place.view(-1, *(1,) * (target.ndim - 1 - axis))
        cells *= own
    images = target.shape[0]
    image = torch.arange(images, device=target.device).view(-1, *(1,) * (target.ndim - 1))
    total = images * num_classes * cells
    index = torch.where(known, (image * num_classes + target.long()) * cells + cell, total)
    counts = count_values(index, total + 1)[:total]
    return counts.view(images, num_classes, *size)
