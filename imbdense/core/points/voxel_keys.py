"""Integer coordinates as sortable numbers: one key per voxel instead of a row of a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

MAX_CELLS = 2**62
"""Keys stay below this, so that a step to a neighbour cannot overflow int64 either."""


class VoxelKeys(NamedTuple):
    """Keys of N cells of a box.

    Attributes:
        keys: (N,) int64 in [0, cells), in the lexicographic order of the coordinates.
        low: smallest coordinate per axis. steps: what +1 adds to a key, per axis. cells: of the whole box.
    """

    keys: Tensor
    low: tuple[int, ...]
    steps: tuple[int, ...]
    cells: int

    def shift(self, offset: Sequence[int]) -> int:
        """What a move by ``offset`` along the last ``len(offset)`` axes adds to a key."""
        return sum(move * step for move, step in zip(offset, self.steps[-len(offset) :]))

    def sort(self) -> tuple[Tensor, Tensor]:
        """Sorted keys and the order that sorts them, stable; below 2^31 as int32, which takes 2/3 of the time."""
        return torch.sort(self.keys.int() if self.cells < 2**31 else self.keys, stable=True)

    def coordinates(self, keys: Tensor) -> Tensor:
        """The cells of some of the keys, (K, D) int64."""
        cells = torch.empty(len(keys), len(self.steps), dtype=torch.int64, device=keys.device)
        for axis, (low, step) in enumerate(zip(self.low, self.steps)):
            # 'floor' is slower and the same: no key is negative
            place = torch.div(keys, step, rounding_mode='trunc') if step > 1 else keys
            torch.add(place, low, out=cells[:, axis])
            keys = keys.sub(place, alpha=step)
        return cells


def voxel_keys(coords: Tensor | Sequence[Tensor], margin: int = 0, owner: str = 'voxel_keys') -> VoxelKeys:
    """Number the cells of the bounding box: ``key = ((b·X + x)·Y + y)·Z + z``, relative to the minimum.

    X, Y, Z are the extents plus ``margin`` empty cells, so that a move of up to ``margin`` cells never arrives at an
    occupied cell of another row (one-sided: the margin of the row before serves negative moves).

    Args:
        coords: (N, D) int64, or one (N,) tensor per axis (faster); any sign; N = 0 gives no keys.
        margin: >= 0, the reach of the moves that will be asked for.

    Raises:
        ValueError: the box has more than 2^62 cells.
    """
    columns = coords.unbind(1) if isinstance(coords, Tensor) else coords
    if len(columns[0]) == 0:
        return VoxelKeys(columns[0], (0,) * len(columns), (1,) * len(columns), 0)
    ranges = [[int(end) for end in torch.aminmax(column)] for column in columns]
    extents = [high - low + 1 + margin for low, high in ranges]
    if math.prod(extents) > MAX_CELLS:
        raise ValueError(
            f'{owner}: the bounding box has {" x ".join(map(str, extents))} cells, more than 2^62. Is one point far '
            f'from the others, or the voxel size in another unit than the coordinates?'
        )
    keys = columns[0] - ranges[0][0]
    for column, (low, _), extent in zip(columns[1:], ranges[1:], extents[1:]):
        keys = keys.mul_(extent).add_(column).sub_(low)
    steps = [math.prod(extents[axis + 1 :]) for axis in range(len(extents))]
    return VoxelKeys(keys, tuple(low for low, _ in ranges), tuple(steps), math.prod(extents))


def is_increasing(keys: Tensor) -> bool:
    """Whether the keys are sorted and distinct."""
    return bool((keys[1:] > keys[:-1]).all())
