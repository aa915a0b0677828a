"""``SparsePoints``: features at occupied voxels, and the kernel maps that convolutions share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from imbdense.core.points.voxel_keys import is_increasing, voxel_keys


@dataclass(frozen=True, eq=False)
class SparsePoints:
    """Features at the occupied voxels of a batch of clouds.

    Attributes:
        coords: (N, 4) int64, rows [sample, x, y, z], distinct; any order, any sign of x, y, z.
        feats: (N, C) float.
        stride: edge of these voxels in voxels of the finest level: 1, 2, 4, ...
        maps: kernel maps made so far, shared by all levels of one cloud. Objects that share it share coordinates;
            :meth:`replace` keeps it, a new cloud begins with an empty one.
        samples: number of samples B of the batch, empty ones included. Default: the last occupied one + 1.
    """

    coords: Tensor
    feats: Tensor
    stride: int = 1
    maps: dict[Any, Any] = field(default_factory=dict, repr=False)
    samples: int | None = None

    def __post_init__(self) -> None:
        if self.coords.ndim != 2 or self.coords.shape[1] != 4 or self.coords.dtype != torch.int64:
            raise ValueError(
                f'SparsePoints: coords must be (N, 4) int64 with rows [sample, x, y, z], but are '
                f'{tuple(self.coords.shape)} {self.coords.dtype}.'
            )
        if self.feats.ndim != 2 or len(self.feats) != len(self.coords):
            raise ValueError(
                f'SparsePoints: feats must be (N, C) with N = {len(self.coords)} rows as coords have, but are '
                f'{tuple(self.feats.shape)}.'
            )

    def __len__(self) -> int:
        return self.coords.shape[0]

    @classmethod
    def from_samples(cls, coords: Sequence[Tensor], feats: Sequence[Tensor]) -> SparsePoints:
        """Batch of one entry per sample: voxel coordinates (V_i, 3) int64 and features (V_i, C); V_i may be 0.

        Raises:
            ValueError: no sample at all, or not as many features as coordinates.
        """
        if not coords or len(coords) != len(feats):
            raise ValueError(f'SparsePoints: got {len(coords)} samples of coords and {len(feats)} of feats, need the '
                             'same number, at least one.')
        rows = [torch.nn.functional.pad(xyz, (1, 0), value=sample) for sample, xyz in enumerate(coords)]
        return cls(torch.cat(rows), torch.cat(list(feats)), samples=len(coords))

    @property
    def batch_size(self) -> int:
        """Number of samples, empty ones included where ``samples`` says so."""
        if self.samples is not None:
            return self.samples
        return int(self.coords[:, 0].max()) + 1 if len(self) else 0

    def replace(self, feats: Tensor) -> SparsePoints:
        """The same voxels with other features (N, C'); the maps stay shared."""
        return SparsePoints(self.coords, feats, self.stride, self.maps, self.samples)

    def split(self) -> list[Tensor]:
        """Features of each sample, in the order of the rows; empty samples give (0, C)."""
        sample = self.coords[:, 0]
        return [self.feats[sample == i] for i in range(self.batch_size)]


def canonical(points: SparsePoints) -> tuple[SparsePoints, Tensor | None]:
    """Voxels sorted by sample and coordinates, each sample moved so that its smallest x, y, z are 0.

    What a network computes from it depends neither on the order of the voxels nor on where a cloud lies. The result
    is remembered in ``points.maps``, with the maps of all its levels.

    Returns:
        The sorted points, and for each row of ``points`` its row there (``None``: they are sorted already).

    Raises:
        ValueError: two rows have the same coordinates.
    """
    if 'canonical' not in points.maps:
        points.maps['canonical'] = _canonical_coords(points)
    coords, order, back, maps = points.maps['canonical']
    feats = points.feats if order is None else points.feats.index_select(0, order)
    return SparsePoints(coords, feats, points.stride, maps, points.batch_size), back


def _canonical_coords(points: SparsePoints) -> tuple[Tensor, Tensor | None, Tensor | None, dict[Any, Any]]:
    """Sorted coordinates, the order that sorts, its inverse, and an empty dict of maps."""
    sample, xyz = points.coords[:, :1], points.coords[:, 1:]
    low = xyz.new_full((points.batch_size, 3), torch.iinfo(torch.int64).max)
    low.scatter_reduce_(0, sample.expand(-1, 3), xyz, 'amin')
    coords = torch.cat([sample, xyz - low[sample.flatten()]], 1)
    keys = voxel_keys(coords, owner='SparsePoints').keys
    if is_increasing(keys):
        return coords, None, None, {}
    keys, order = torch.sort(keys)
    require_distinct(keys)
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order), device=order.device)
    return coords[order], order, back, {}


def require_distinct(sorted_keys: Tensor) -> None:
    """Raise ``ValueError`` where two sorted keys are equal."""
    if not is_increasing(sorted_keys):
        same = int((sorted_keys[1:] == sorted_keys[:-1]).sum())
        raise ValueError(
            f'SparsePoints: {same} of {len(sorted_keys)} rows repeat the coordinates of another one. Reduce the cloud '
            f'with imbdense.core.points.grid_sample first.'
        )
