"""Grid sampling: one representative per occupied voxel, and the way back to every raw point."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from imbdense.core.checks import check_choice, check_number
from imbdense.core.points.voxel_keys import voxel_keys

MODES = ('first', 'mean', 'random')
IGNORED = -1


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
    coords = torch.floor(points.double() / size).long()
    order, starts, inverse = _group(coords)
    counts = torch.diff(starts, append=starts.new_tensor([len(points)]))
    index = None if mode == 'mean' else _representative(order, starts, counts, mode, seed)
    return GridSample(
        coords=coords[order[starts]],
        inverse=inverse,
        counts=counts,
        points=_reduced(points, index, inverse, counts),
        features=None if features is None else _reduced(features, index, inverse, counts),
        index=index,
        labels=None if labels is None else majority_labels(labels, inverse, len(counts)),
        rarest=None if keep_rare is None else rarest_labels(_needed(labels), inverse, len(counts), keep_rare),
    )


def majority_labels(labels: Tensor, inverse: Tensor, voxels: int) -> Tensor:
    """The most frequent label of each voxel, (V,) int64; ties to the smaller id; -1 only where nothing else is.

    Args:
        labels: (N,) int64 >= -1. inverse: (N,) voxel of each point. voxels: V.
    """
    span = int(labels.max()) + 2 if labels.numel() else 1
    votes, counts = torch.unique(inverse * span + (labels + 1), return_counts=True)
    label = votes % span - 1
    # one number that is larger for more votes, then for the smaller id; ignored points lose against every vote
    score = torch.where(label == IGNORED, 0, counts * span + (span - 1 - label))
    best = score.new_full((voxels,), -1).scatter_reduce_(0, votes // span, score, 'amax')
    return torch.where(best > 0, span - 1 - best % span, IGNORED)


def rarest_labels(labels: Tensor, inverse: Tensor, voxels: int, class_counts: Tensor) -> Tensor:
    """The label of each voxel's points that is rarest in ``class_counts``, (V,) int64; ties to the smaller id.

    -1 where all points are ignored. A sampler that draws centres by this label sees a mast of one point that the
    majority would have hidden.

    Raises:
        ValueError: a label without a count.
    """
    if labels.numel() and int(labels.max()) >= len(class_counts):
        raise ValueError(
            f'grid_sample: labels hold class {int(labels.max())}, but keep_rare has {len(class_counts)} counts.'
        )
    rank = torch.argsort(class_counts, stable=True).argsort().to(labels.device)  # 0 = rarest
    lowest = len(class_counts)
    score = torch.where(labels == IGNORED, lowest, rank[labels.clamp_min(0)]) if lowest else labels + 1
    best = score.new_full((voxels,), lowest).scatter_reduce_(0, inverse, score, 'amin')
    by_rank = torch.cat([torch.argsort(class_counts, stable=True), class_counts.new_tensor([IGNORED])]).long()
    return by_rank.to(labels.device)[best]


def _group(coords: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Points ordered by voxel (stable), where each voxel begins in that order, and the voxel of every point."""
    keys, order = torch.sort(voxel_keys(coords, owner='grid_sample').keys, stable=True)
    new = torch.ones_like(keys, dtype=torch.bool)
    torch.ne(keys[1:], keys[:-1], out=new[1:])
    inverse = torch.empty_like(order)
    inverse[order] = torch.cumsum(new, 0) - 1
    return order, new.nonzero().flatten(), inverse


def _representative(order: Tensor, starts: Tensor, counts: Tensor, mode: str, seed: int) -> Tensor:
    """(V,) place in the cloud of the point that stands for each voxel."""
    if mode == 'first':
        return order[starts]
    generator = torch.Generator().manual_seed(seed)
    share = torch.rand(len(starts), generator=generator, dtype=torch.float64).to(counts.device)
    return order[starts + torch.minimum((share * counts).long(), counts - 1)]


def _reduced(values: Tensor, index: Tensor | None, inverse: Tensor, counts: Tensor) -> Tensor:
    """Values of the representatives, or means (summed in float64)."""
    if index is not None:
        return values[index]
    total = values.new_zeros(len(counts), values.shape[1], dtype=torch.float64)
    return (total.index_add_(0, inverse, values.double()) / counts.unsqueeze(1)).to(values.dtype)


def _needed(labels: Tensor | None) -> Tensor:
    """``labels``, which ``keep_rare`` cannot do without."""
    if labels is None:
        raise ValueError('grid_sample: keep_rare needs labels.')
    return labels


def _check_rows(points: Tensor, features: Tensor | None, labels: Tensor | None) -> None:
    """Shapes, finite coordinates, labels >= -1."""
    if points.ndim != 2 or points.shape[1] != 3 or not points.is_floating_point():
        raise ValueError(f'grid_sample: points must be (N, 3) float, but are {tuple(points.shape)} {points.dtype}.')
    if not bool(torch.isfinite(points).all()):
        bad = (~torch.isfinite(points).all(1)).nonzero().flatten()
        raise ValueError(
            f'grid_sample: {len(bad)} of {len(points)} points have NaN or infinite coordinates, the first is point '
            f'{int(bad[0])}: {points[bad[0]].tolist()}. Remove them before sampling.'
        )
    for name, rows, ndim in (('features', features, 2), ('labels', labels, 1)):
        if rows is not None and (rows.ndim != ndim or len(rows) != len(points)):
            raise ValueError(f'grid_sample: {name} must have one row per point ({len(points)}), {ndim} '
                             f'dimension{"s" * (ndim > 1)}, but {name} are {tuple(rows.shape)}.')
    if labels is not None and labels.numel() and int(labels.min()) < IGNORED:
        raise ValueError(f'grid_sample: labels must be class ids or -1 (ignored), but hold {int(labels.min())}.')
