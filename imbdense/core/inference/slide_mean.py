"""Sliding windows over a tensor in memory: add each window's scores into its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from imbdense.core.checks import check_integer


def slide_mean(
    network: Callable[[Tensor], Tensor], inputs: Tensor, crop: Sequence[int], stride: Sequence[int]
) -> Tensor:
    """Mean of the scores of all windows over each pixel, as the host's ``slide_inference`` defines it.

    The host pads the scores of every window to the whole image and adds two images (work grows with the square of the
    area); here a window is added into its slice (work grows with the area). Windows run row by row, the last one of an
    axis is shifted inside, and the sums are divided once, so the result equals the host's bit for bit.

    Args:
        network: (N, C, h, w) -> (N, K, h, w) scores of one window.
        inputs: (N, C, H, W). crop: (height, width) of a window, clipped to the image. stride: (rows, columns).

    Returns:
        (N, K, H, W) in the dtype of the scores.

    Raises:
        ValueError: a stride larger than the window, which would leave pixels out.
    """
    height, width = inputs.shape[-2:]
    crops = [min(check_integer('crop', int(c), low=1), n) for c, n in zip(crop, (height, width))]
    steps = [check_integer('stride', int(s), low=1, high=int(c)) for s, c in zip(stride, crop)]
    rows, columns = (
        [*range(0, max(n - c, 0), s), max(n - c, 0)] for n, c, s in zip((height, width), crops, steps)
    )
    sums: Tensor | None = None
    for row in rows:
        for column in columns:
            place = (..., slice(row, row + crops[0]), slice(column, column + crops[1]))
            scores = network(inputs[place])
            if sums is None:
                sums = scores.new_zeros((*scores.shape[:2], height, width))
            sums[place] += scores
    counts = [torch.zeros(n, dtype=torch.int64) for n in (height, width)]
    for count, origins, size in zip(counts, (rows, columns), crops):
        for origin in origins:
            count[origin : origin + size] += 1
    if sums is None:  # cannot be: there is a window at 0
        raise RuntimeError('slide_mean: no window was run.')
    return sums.div_(torch.outer(*counts).to(sums))
