"""The levels of a batch of clouds as tensors, and reading features through index maps with missing entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class PointLevel:
    """One level of a batch.

    Attributes:
        coords: (N, 4) int64, rows [sample, x, y, z], sorted. points: (N, 3) float32 barycentres in metres.
        parent: (N,) int64, row of the next level; empty on the last.
        neighbours: (N, M) int64 rows of this level round each point, -1 = none; ``None`` where nobody asked for them.
        pool: (N', M) int64 rows of this level round each point of the *next* one; ``None`` likewise and on the last.
    """

    coords: Tensor
    points: Tensor
    parent: Tensor
    neighbours: Tensor | None = None
    pool: Tensor | None = None

    def __len__(self) -> int:
        return self.coords.shape[0]

    def to(self, device: torch.device | str) -> PointLevel:
        """The same on another device."""
        return PointLevel(*(None if value is None else value.to(device) for value in (
            self.coords, self.points, self.parent, self.neighbours, self.pool)))  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class EpochLevels:
    """All levels of one epoch of a batch, finest first; ``maps`` keeps what convolutions find out about them."""

    levels: list[PointLevel]
    samples: int
    maps: dict[Any, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def stack(cls, clouds: Sequence[Sequence[PointLevel]]) -> EpochLevels:
        """A batch of clouds that are levels each; their first column of ``coords`` is overwritten with the sample.

        Raises:
            ValueError: no cloud, or different numbers of levels.
        """
        if not clouds or len({len(cloud) for cloud in clouds}) != 1:
            raise ValueError(f'EpochLevels: needs clouds with equally many levels, but got {[len(c) for c in clouds]}.')
        levels = [_stack_level([cloud[depth] for cloud in clouds],
                               [cloud[depth + 1] for cloud in clouds] if depth + 1 < len(clouds[0]) else None)
                  for depth in range(len(clouds[0]))]
        return cls(levels, len(clouds))

    def to(self, device: torch.device | str) -> EpochLevels:
        """The same on another device, with empty maps."""
        return EpochLevels([level.to(device) for level in self.levels], self.samples)


def gather_rows(feats: Tensor, index: Tensor) -> Tensor:
    """``feats[index]`` with zeros where ``index`` is -1: (S, C), (...) -> (..., C). S may be 0."""
    padded = torch.cat([feats, feats.new_zeros(1, feats.shape[1])])
    return padded[index]


def shift_rows(index: Tensor, offset: int) -> Tensor:
    """Row numbers moved by ``offset``; -1 stays."""
    return torch.where(index < 0, index, index + offset)


def stack_rows(tables: Sequence[Tensor], offsets: Sequence[int]) -> Tensor:
    """Tables (N_i, M_i) of row numbers below each other, (sum N_i, max M_i), padded with -1."""
    width = max(table.shape[1] for table in tables)
    return torch.cat([
        torch.nn.functional.pad(shift_rows(table.long(), offset), (0, width - table.shape[1]), value=-1)
        for table, offset in zip(tables, offsets)
    ])  # fmt: skip


def row_offsets(lengths: Sequence[int]) -> list[int]:
    """Where each of several stacked tables begins."""
    return [sum(lengths[:number]) for number in range(len(lengths))]


def _stack_level(parts: list[PointLevel], coarser: list[PointLevel] | None) -> PointLevel:
    """One level of all samples."""
    own = row_offsets([len(part) for part in parts])
    coords = torch.cat([torch.cat([torch.full_like(part.coords[:, :1], sample), part.coords[:, -3:]], 1)
                        for sample, part in enumerate(parts)])
    points = torch.cat([part.points for part in parts])
    near = [part.neighbours for part in parts if part.neighbours is not None]
    pool = [part.pool for part in parts if part.pool is not None]
    parent = parts[0].parent[:0]
    if coarser is not None:
        next_rows = row_offsets([len(part) for part in coarser])
        parent = torch.cat([part.parent + offset for part, offset in zip(parts, next_rows)])
    return PointLevel(coords, points, parent, stack_rows(near, own) if near else None,
                      stack_rows(pool, own) if pool else None)
