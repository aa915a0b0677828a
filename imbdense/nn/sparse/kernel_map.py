"""Kernel maps: which voxel feeds which through which tap of a convolution kernel."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from imbdense.core.points.voxel_keys import is_increasing, voxel_keys
from imbdense.nn.sparse.sparse_points import SparsePoints, require_distinct

Pairs = tuple[Tensor, Tensor]
"""(source rows, destination rows), int32; within one tap every row occurs at most once on each side."""


@dataclass(frozen=True, eq=False)
class DownMap:
    """A level and the coarser one.

    Attributes:
        fine: (N, 4) coordinates of the finer level. coarse: (M, 4) of the coarser, sorted.
        parent: (N,) int64, the coarse row of each fine one.
        pairs: per child offset, (fine rows, coarse rows); each fine row occurs once in all.
    """

    fine: Tensor
    coarse: Tensor
    parent: Tensor
    pairs: list[Pairs]


def offsets(kernel: int, dilation: int = 1) -> list[tuple[int, int, int]]:
    """Moves (dx, dy, dz) from a destination to its sources, x slowest: the order of a dense kernel's weights."""
    reach = kernel // 2
    line = [dilation * step for step in range(-reach, reach + 1)]
    return list(product(line, line, line))


def submanifold_map(points: SparsePoints, kernel: int = 3, dilation: int = 1) -> list[Pairs]:
    """Pairs per tap of a centred odd kernel, outputs at the input voxels; kept in ``points.maps``.

    ``out[d] = Σ_t W_t in[s]`` over the pairs (s, d) of tap t, ``coords[s] = coords[d] + offset_t``. Keys are sorted
    once; half of the taps are searched, the others are the same pairs read the other way. Destinations increase.
    """
    name = ('submanifold', points.stride, kernel, dilation)
    if name not in points.maps:
        points.maps[name] = _submanifold_pairs(points.coords, kernel, dilation)
    return points.maps[name]


def _submanifold_pairs(coords: Tensor, kernel: int, dilation: int) -> list[Pairs]:
    """See :func:`submanifold_map`."""
    moves = offsets(kernel, dilation)
    numbered = voxel_keys(coords, margin=dilation * (kernel // 2), owner='SubMConv3d')
    keys, order = numbered.keys, None
    if not is_increasing(keys):
        keys, order = torch.sort(keys)
        require_distinct(keys)
    rows = torch.arange(len(keys), dtype=torch.int32, device=keys.device) if order is None else order.int()
    centre = len(moves) // 2
    after = [_matches(keys, numbered.shift(move), rows) for move in moves[centre + 1 :]]
    before = [(target, source) for source, target in reversed(after)]
    return [*before, (rows, rows), *after]


def _matches(keys: Tensor, shift: int, rows: Tensor) -> Pairs:
    """Rows (s, d) with ``key[s] = key[d] + shift``."""
    wanted = keys + shift
    place = torch.searchsorted(keys, wanted).clamp_max_(max(len(keys) - 1, 0))
    target = (keys[place] == wanted).nonzero().flatten()
    return rows[place[target]], rows[target]


def down_map(points: SparsePoints) -> DownMap:
    """The level of voxels twice as large, ``coords // 2``; pairs by child offset ``coords mod 2``, x slowest.

    Kept in ``points.maps`` under the stride, where :class:`~imbdense.nn.sparse.conv.UpConv3d` finds the way back.
    """
    name = ('down', points.stride)
    if name not in points.maps:
        points.maps[name] = _down_pairs(points.coords)
    return points.maps[name]


def _down_pairs(coords: Tensor) -> DownMap:
    """See :func:`down_map`."""
    halved = coords.clone()
    halved[:, 1:] = torch.div(coords[:, 1:], 2, rounding_mode='floor')
    numbered = voxel_keys(halved, owner='DownConv3d')
    keys, order = numbered.sort()
    keys, place = torch.unique_consecutive(keys, return_inverse=True)
    parent = torch.empty_like(order).scatter_(0, order, place)
    bits = coords[:, 1:] - 2 * halved[:, 1:]
    child = bits[:, 0] * 4 + bits[:, 1] * 2 + bits[:, 2]
    pairs = []
    for tap in range(8):
        rows = (child == tap).nonzero().flatten()
        pairs.append((rows.int(), parent[rows].int()))
    return DownMap(coords, numbered.coordinates(keys), parent, pairs)
