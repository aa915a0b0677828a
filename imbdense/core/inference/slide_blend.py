"""Windows over an image whose probabilities are blended; cost grows as the area."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from imbdense.core.inference.tile_axis import blend_axis


def slide_blend(
    images: Tensor, predict: Callable[[Tensor], Sequence[Tensor]], crop_size: Sequence[int], stride: Sequence[int]
) -> list[Tensor]:
    """Weighted mean of the probabilities of overlapping windows, per output map.

    Windows and weights are those of :func:`imbdense.core.inference.tile_axis.blend_axis` (Hann). All windows have
    exactly ``crop_size``: an image that is smaller is padded with zeros at the right and the bottom, which are cut off
    again.

    Args:
        images: (N, C, H, W).
        predict: window (N, C, *crop_size) -> maps of logits (N, K_j, *crop_size).
        crop_size, stride: (height, width).

    Returns:
        one (N, K_j, H, W) per map, float32, summing to one over K_j.
    """
    height, width = images.shape[-2:]
    rows, columns = (
        blend_axis(size, tile, step) for size, tile, step in zip((height, width), crop_size, stride, strict=True)
    )
    images = F.pad(images, (0, max(columns.tile - width, 0), 0, max(rows.tile - height, 0)))
    totals: list[Tensor] = []
    for top, (first, last), tall in zip(rows.origins, rows.spans, rows.weights):
        for left, (start, stop), wide in zip(columns.origins, columns.spans, columns.weights):
            window = images[..., top : top + rows.tile, left : left + columns.tile]
            maps = [logits.float().softmax(1) for logits in predict(window)]
            if not totals:
                totals = [part.new_zeros((*part.shape[:2], height, width)) for part in maps]
            weight = torch.outer(tall, wide).to(images.device)
            for total, part in zip(totals, maps):
                total[..., first:last, start:stop] += part[..., : last - first, : stop - start] * weight
    return totals
