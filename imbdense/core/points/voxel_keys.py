"""Integer coordinates as sortable 64-bit keys: one number per voxel instead of a row of a table."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

MAX_CELLS = 2**62
"""Keys stay below this, so that a step to a neighbour cannot overflow int64 either."""


class VoxelKeys(NamedTuple):
    """Keys of N voxels and what one step along each axis adds to a key.

    Attributes:
        keys: (N,) int64, in the lexicographic order of the coordinates.
        steps: what +1 adds, per axis.
    """

    keys: Tensor
    steps: tuple[int, ...]

    def shift(self, offset: tuple[int, ...]) -> int:
        """What a move by ``offset`` along the last ``len(offset)`` axes adds to a key."""
        return sum(move * step for move, step in zip(offset, self.steps[-len(offset) :]))


def voxel_keys(coords: Tensor, margin: int = 0, owner: str = 'voxel_keys') -> VoxelKeys:
    """Number the cells of the bounding box of ``coords``: ``key = ((b·X + x)·Y + y)·Z + z``, relative to the minimum.

    X, Y, Z are the extents plus ``margin`` empty cells, so that a move of up to ``margin`` cells never arrives at an
    occupied cell of another row (one-sided: the margin of the row before serves negative moves).

    Args:
        coords: (N, D) int64, any sign; N = 0 gives no keys.
        margin: >= 0, the reach of the moves that will be asked for.

    Raises:
        ValueError: the box has more than 2^62 cells.
    """
    if coords.shape[0] == 0:
        return VoxelKeys(coords.new_zeros(0), (0,) * coords.shape[1])
    low, high = torch.aminmax(coords, dim=0)
    extents = [top - bottom + 1 + margin for bottom, top in zip(low.tolist(), high.tolist())]
    if math.prod(extents) > MAX_CELLS:
        raise ValueError(
            f'{owner}: the bounding box has {" x ".join(map(str, extents))} cells, more than 2^62. Is one point far '
            f'from the others, or the voxel size in another unit than the coordinates?'
        )
    steps = [1]
    for extent in reversed(extents[1:]):
        steps.insert(0, steps[0] * extent)
    keys = (coords[:, 0] - low[0]) * steps[0]
    for axis in range(1, coords.shape[1]):
        keys += (coords[:, axis] - low[axis]) * steps[axis]
    return VoxelKeys(keys, tuple(steps))


def is_increasing(keys: Tensor) -> bool:
    """Whether the keys are sorted and distinct."""
    return bool((keys[1:] > keys[:-1]).all())
