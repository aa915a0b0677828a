"""Exact overlap of turned boxes, seen from above and in space, in plain tensors.

No polygon is built. In the frame of box B = [-a, a] x [-b, b] the area that box A shares with it is, by Green's
theorem, an integral along the four edges of A::

    |A and B| = integral over the edge of A of clamp(x, -a, a) [|y| < b] dy

since d clamp(x, -a, a) / dx is 1 inside the strip and 0 outside. Along an edge x is linear, so the clamp has at most
two kinks, and each of the three pieces is a trapezoid. That is a few dozen operations on (pairs, 4) numbers without a
sort or a case, continuous in both boxes: identical boxes, common edges and boxes without area need no special care.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from imbdense.core.boxes3d.geometry import bev_corners, check_boxes

PAIRS = 1 << 18
"""Pairs that are clipped at a time: about 100 MB."""


def bev_iou(first: Any, second: Any, *, aligned: bool = False) -> Tensor:
    """Return the IoU of boxes seen from above (length, width, yaw; heights do not matter).

    Args:
        first, second: (N, 7) and (M, 7), tensors on one device or arrays; either may be empty.
        aligned: compare box i with box i alone; N = M.

    Returns:
        (N, M), or (N,) with ``aligned``, float64 in [0, 1]. A box without area overlaps nothing, itself included.
    """
    a, b = _pair(first, second, aligned)
    rows, columns = _close(a, b, aligned)
    shared = shared_area(a[rows], b[columns])
    area_a, area_b = a[:, 3] * a[:, 4], b[:, 3] * b[:, 4]
    return _spread(_ratio(shared, area_a[rows], area_b[columns]), rows, columns, len(a), len(b), aligned)


def iou_3d(first: Any, second: Any, *, aligned: bool = False) -> Tensor:
    """Return the IoU of the volumes; arguments and result as for :func:`bev_iou`."""
    a, b = _pair(first, second, aligned)
    rows, columns = _close(a, b, aligned)
    one, other = a[rows], b[columns]
    top = torch.minimum(one[:, 2] + one[:, 5] / 2, other[:, 2] + other[:, 5] / 2)
    bottom = torch.maximum(one[:, 2] - one[:, 5] / 2, other[:, 2] - other[:, 5] / 2)
    shared = shared_area(one, other) * (top - bottom).clamp_min(0)
    found = _ratio(shared, one[:, 3:6].prod(dim=1), other[:, 3:6].prod(dim=1))
    return _spread(found, rows, columns, len(a), len(b), aligned)


def shared_area(first: Tensor, second: Tensor) -> Tensor:
    """Return the area in square metres that box i of ``first`` shares with box i of ``second`` seen from above, (N,).

    Differentiable; memory is bounded by :data:`PAIRS`.
    """
    parts = [
        _shared_area(first[start : start + PAIRS], second[start : start + PAIRS])
        for start in range(0, len(first), PAIRS)
    ]
    return torch.cat(parts) if parts else first.new_zeros(0)


def _shared_area(first: Tensor, second: Tensor) -> Tensor:
    """The integral of the module's docstring."""
    centred = torch.cat([first[:, :2] - second[:, :2], first[:, 2:]], dim=1)  # small numbers keep their digits
    ground = torch.cat([bev_corners(centred), centred.new_zeros(len(centred), 4, 1)], dim=2)
    own = torch.zeros_like(second)
    own[:, 3:] = second[:, 3:]
    at = torch.stack([_in_frame(ground[:, corner], own) for corner in range(4)], dim=1)
    step = at.roll(-1, dims=1) - at
    half_x, half_y = second[:, 3, None] / 2, second[:, 4, None] / 2
    begin, end = _between(at[..., 1], step[..., 1], half_y)
    kink_a, kink_b = _between(at[..., 0], step[..., 0], half_x)
    cuts = [begin, torch.minimum(torch.maximum(kink_a, begin), end), torch.minimum(torch.maximum(kink_b, begin), end),
            end]
    x = [torch.minimum(torch.maximum(at[..., 0] + cut * step[..., 0], -half_x), half_x) for cut in cuts]
    mean = sum((x[i] + x[i + 1]) * (cuts[i + 1] - cuts[i]) / 2 for i in range(3))
    return (mean * step[..., 1]).sum(dim=1).clamp_min(0)


def _in_frame(points: Tensor, boxes: Tensor) -> Tensor:
    """Point i (N, 3) in the frame of box i, (N, 2)."""
    cosine, sine = boxes[:, 6].cos(), boxes[:, 6].sin()
    return torch.stack([points[:, 0] * cosine + points[:, 1] * sine, points[:, 1] * cosine - points[:, 0] * sine], -1)


def _between(start: Tensor, step: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    """The part of t in [0, 1] in which |start + t step| <= half, as (from, to) with from <= to; a step of 0 gives all
    of [0, 1] inside and nothing outside."""
    still = step == 0
    safe = torch.where(still, torch.ones_like(step), step)
    one, other = (-half - start) / safe, (half - start) / safe
    low, high = torch.minimum(one, other).clamp(0, 1), torch.maximum(one, other).clamp(0, 1)
    inside = start.abs() <= half
    low = torch.where(still, torch.zeros_like(low), low)
    high = torch.where(still, inside.to(high.dtype), high)
    return low, torch.maximum(low, high)


def _pair(first: Any, second: Any, aligned: bool) -> tuple[Tensor, Tensor]:
    """Both as float64 tensors."""
    a, b = torch.as_tensor(first).double(), torch.as_tensor(second).double()
    a, b = (item.reshape(0, 7) if item.numel() == 0 else check_boxes(item, owner='box overlap') for item in (a, b))
    if aligned and len(a) != len(b):
        raise ValueError(f'box overlap: aligned boxes must be equally many, but there are {len(a)} and {len(b)}.')
    return a, b


def _close(a: Tensor, b: Tensor, aligned: bool) -> tuple[Tensor, Tensor]:
    """Indices of the pairs whose circumscribed circles meet: all others share nothing."""
    reach_a, reach_b = a[:, 3:5].norm(dim=1) / 2, b[:, 3:5].norm(dim=1) / 2
    if aligned:
        near = (a[:, :2] - b[:, :2]).norm(dim=1) < reach_a + reach_b
        found = near.nonzero()[:, 0]
        return found, found
    x, y = a[:, None, 0] - b[None, :, 0], a[:, None, 1] - b[None, :, 1]
    pairs = (x * x + y * y < (reach_a[:, None] + reach_b[None]) ** 2).nonzero()
    return pairs[:, 0], pairs[:, 1]


def _ratio(shared: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union; 0 where there is nothing."""
    union = first + second - shared
    return torch.where(union > 0, shared / torch.where(union > 0, union, torch.ones_like(union)), 0.0).clamp(0, 1)


def _spread(values: Tensor, rows: Tensor, columns: Tensor, n: int, m: int, aligned: bool) -> Tensor:
    """Values of the near pairs in the whole table."""
    if aligned:
        return values.new_zeros(n).index_put((rows,), values)
    return values.new_zeros(n, m).index_put((rows, columns), values)
