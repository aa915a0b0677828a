"""Arg-max and softmax over class planes (C, H, W): plane by plane, in pieces that stay in the cache.

The generic reductions of torch over the class axis read memory with a stride of a whole plane per element, and their
results may differ in the last bit with the shape of the piece. Here every step works on whole planes, one correctly
rounded operation per pixel at a time, except the exponential.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

CACHE_FLOATS = 1 << 18
"""Numbers per piece: 1 MB of float32, the second-level cache of one core."""


def argmax_planes(scores: Tensor) -> Tensor:
    """Index of the largest of C planes (C, H, W) -> (H, W) uint8 (int16 above 256 classes); the first one wins a tie.

    The same as ``scores.argmax(0)``, several times as fast on a CPU.

    Raises:
        ValueError: scores that are not a number.
    """
    classes, height, width = scores.shape
    if classes > 256:
        _refuse_nan(scores.amax(0))
        return scores.argmax(0).to(torch.int16)
    label = torch.zeros((height, width), dtype=torch.uint8, device=scores.device)
    for rows in row_pieces(2, height, width, scores.device):
        best, piece = scores[0, rows].clone(), label[rows]
        wins = torch.empty_like(best, dtype=torch.bool)
        index_where_it_wins = wins.view(torch.uint8)  # the same bytes: 0 or 1, then 0 or the index
        for index in range(1, classes):
            plane = scores[index, rows]
            torch.gt(plane, best, out=wins)
            index_where_it_wins.mul_(index)
            torch.maximum(piece, index_where_it_wins, out=piece)  # later winners have larger indices
            torch.maximum(best, plane, out=best)
        _refuse_nan(best)
    return label


def _refuse_nan(best: Tensor) -> None:
    """Raise where the largest score is not a number (a maximum hands NaN on)."""
    if bool(torch.isnan(best).any()):
        raise ValueError('the scores of the model are not a number (NaN); did its training diverge, or does the input '
                         'hold values far outside of what it was trained on?')


def softmax_planes(scores: Tensor, factor: Tensor) -> Tensor:
    """softmax over dim 0 of (C, H, W), times ``factor`` (H, W); computed in place where ``scores`` is float32."""
    scores = scores.float()
    classes, height, width = scores.shape
    for rows in row_pieces(classes, height, width, scores.device):
        piece = scores[:, rows]
        largest = piece[0].clone()
        for plane in piece[1:]:
            torch.maximum(largest, plane, out=largest)
        piece.sub_(largest).exp_()
        total = piece[0].clone()
        for plane in piece[1:]:
            total.add_(plane)
        piece.mul_(factor[rows] / total)
    return scores


def row_pieces(planes: int, height: int, width: int, device: torch.device) -> Iterator[slice]:
    """Slices of rows so that ``planes`` planes of a piece fit the cache; everything at once on an accelerator."""
    rows = max(1, CACHE_FLOATS // max(1, planes * width)) if device.type == 'cpu' else max(1, height)
    for start in range(0, height, rows):
        yield slice(start, min(start + rows, height))
