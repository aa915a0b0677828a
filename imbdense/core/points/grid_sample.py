"""Grid sampling: one representative per occupied voxel, and the way back to every raw point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor

from imbdense.core.checks import check_choice, check_number
from imbdense.core.points.voxel_keys import MAX_CELLS, voxel_keys
from imbdense.core.points.voxel_labels import IGNORED, majority_labels, rarest_labels
from imbdense.core.reduction import count_values

MODES = ('first', 'mean', 'random')


@dataclass(frozen=True, eq=False)
class GridSample:
    """V occupied voxels of a cloud of N points, in lexicographic order of their coordinates.

    Attributes:
        coords: (V, 3) int64, ``floor(xyz / size)``.
        inverse: (N,) int64, the voxel of every point: ``voxel_values[inverse]`` are values of points.
        counts: (V,) int64 >= 1, points per voxel.
        points: (V, 3), dtype of the points: the representative ('first', 'random') or the mean position.
        features: (V, F) of the representative, or their mean; ``None`` without features.
        index: (V,) int64, the representative's place in the cloud; ``None`` for 'mean'.
        labels: (V,) int64, majority of the voxel; ``None`` without labels.
        rarest: (V,) int64, the rarest label in the voxel (-1: none) for sampling weights; ``None`` unless asked for.
    """

    coords: Tensor
    inverse: Tensor
    counts: Tensor
    points: Tensor
    features: Tensor | None = None
    index: Tensor | None = None
    labels: Tensor | None = None
    rarest: Tensor | None = None

    def __len__(self) -> int:
        return self.coords.shape[0]


def grid_sample(
    points: Tensor,
    size: float,
    *,
    features: Tensor | None = None,
    labels: Tensor | None = None,
    mode: str = 'mean',
    keep_rare: Tensor | None = None,
    seed: int = 0,
) -> GridSample:
    """Reduce a cloud to its occupied voxels of edge ``size``.

    ``voxel(p) = floor(p / size)``, computed in float64, so the grid is anchored at the origin of the coordinates and
    neighbouring tiles share it. O(N log N); the same on CPU and GPU, for every order of the points up to the choice of
    'first' and 'random' (which go by the order) and rounding of 'mean'.

    Args:
        points: (N, 3) float, metres. N = 0 gives an empty sample.
        size: edge of a voxel in metres, > 0.
        features: (N, F) float.
        labels: (N,) int64, -1 = ignored. A voxel takes the label of most of its points; ties go to the smaller id;
            -1 only where all its points are ignored.
        mode: which point stands for a voxel: 'first' in the order of the cloud, 'random', or the 'mean' of all.
        keep_rare: (C,) points per class over the data set; fills :attr:`GridSample.rarest`. It does not change labels.
        seed: of 'random'; the draw is a function of the seed and the order of the points.

    Raises:
        ValueError: wrong shapes; NaN or infinite coordinates; a grid of more than 2^62 cells; labels below -1 or, with
            ``keep_rare``, beyond its length.
    """
    check_number('size', size, low=0.0, low_open=True, owner='grid_sample')
    check_choice('mode', mode, MODES, owner='grid_sample')
    _check_rows(points, features, labels)
    if keep_rare is not None and labels is None:
        raise ValueError('grid_sample: keep_rare needs labels.')
    columns = points.t().double().contiguous()
    coords, inverse, counts = _group(_cells(columns, size))
    index = None if mode == 'mean' else _representatives(inverse, len(counts), mode, seed)
    return GridSample(
        coords=coords,
        inverse=inverse,
        counts=counts,
        points=_reduced(points, index, inverse, counts, columns),
        features=None if features is None else _reduced(features, index, inverse, counts),
        index=index,
        labels=None if labels is None else majority_labels(labels, inverse, len(counts)),
        rarest=None if keep_rare is None or labels is None
        else rarest_labels(labels, inverse, len(counts), keep_rare),
    )


def _cells(columns: Tensor, size: float) -> list[Tensor]:
    """``floor(xyz / size)`` as three columns (N,) int64, of the coordinates (3, N) float64.

    Raises:
        ValueError: NaN or infinite coordinates, or cells beyond +-2^62.
    """
    cells = columns.div(size).floor_()
    for column in cells if columns.numel() else ():
        low, high = torch.aminmax(column)
        if not bool(torch.maximum(-low, high) < MAX_CELLS):  # NaN is not smaller either
            _complain(columns.t())
    return list(cells.long())


def _complain(points: Tensor) -> NoReturn:
    """Say which coordinates cannot be used."""
    bad = (~torch.isfinite(points).all(1)).nonzero().flatten()
    if len(bad):
        raise ValueError(
            f'grid_sample: {len(bad)} of {len(points)} points have NaN or infinite coordinates, the first is point '
            f'{int(bad[0])}: {points[bad[0]].tolist()}. Remove them before sampling.'
        )
    raise ValueError(f'grid_sample: coordinates up to {points.abs().max():.3g} lie more than 2^62 voxels away from 0.')


def _group(cells: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Occupied voxels in lexicographic order, the voxel of every point, points per voxel."""
    numbered = voxel_keys(cells, owner='grid_sample')
    keys, order = numbered.sort()
    keys, place, counts = torch.unique_consecutive(keys, return_inverse=True, return_counts=True)
    return numbered.coordinates(keys), torch.empty_like(order).scatter_(0, order, place), counts


def _representatives(inverse: Tensor, voxels: int, mode: str, seed: int) -> Tensor:
    """(V,) place in the cloud of the point that stands for each voxel: the first in the cloud's or a random order."""
    points = len(inverse)
    if mode == 'first':
        return inverse.new_full((voxels,), points).scatter_reduce_(
            0, inverse, torch.arange(points, device=inverse.device), 'amin')
    drawn = torch.randperm(points, generator=torch.Generator().manual_seed(seed)).to(inverse.device)
    return drawn[_representatives(inverse[drawn], voxels, 'first', seed)]


def _reduced(
    values: Tensor, index: Tensor | None, inverse: Tensor, counts: Tensor, columns: Tensor | None = None
) -> Tensor:
    """Values (N, k) of the representatives, or means, summed in float64; ``columns``: the values as (k, N)."""
    if index is not None:
        return values[index]
    columns = values.t().contiguous() if columns is None else columns
    means = torch.empty(len(counts), len(columns), dtype=torch.float64, device=values.device)
    for place, column in enumerate(columns):
        torch.div(count_values(inverse, len(counts), column), counts, out=means[:, place])
    return means.to(values.dtype)


def _check_rows(points: Tensor, features: Tensor | None, labels: Tensor | None) -> None:
    """Shapes, finite coordinates, labels >= -1."""
    if points.ndim != 2 or points.shape[1] != 3 or not points.is_floating_point():
        raise ValueError(f'grid_sample: points must be (N, 3) float, but are {tuple(points.shape)} {points.dtype}.')
    for name, rows, ndim in (('features', features, 2), ('labels', labels, 1)):
        if rows is not None and (rows.ndim != ndim or len(rows) != len(points)):
            raise ValueError(f'grid_sample: {name} must have one row per point ({len(points)}), {ndim} '
                             f'dimension{"s" * (ndim > 1)}, but {name} are {tuple(rows.shape)}.')
    if labels is not None and labels.numel() and int(labels.min()) < IGNORED:
        raise ValueError(f'grid_sample: labels must be class ids or -1 (ignored), but hold {int(labels.min())}.')
