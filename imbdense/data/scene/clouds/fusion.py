"""Many depth maps → one cloud: voxels on which enough images agree, robust means, majority labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene.clouds.samples import SAMPLE, Samples, unpack_voxels

_ROWS = 2_000_000
"""Samples that are fused at once: memory does not grow with the number of images."""


@dataclass(frozen=True)
class Cloud:
    """A labelled cloud in scene coordinates.

    ``xyz`` float64 (N, 3) m, whole millimetres; ``semantic`` uint8 (N,) raw ids; ``instance`` int32 (N,), -1 = none,
    ids of ``instances.json``; ``attributes``: name → (N,) or (N, k).
    """

    xyz: NDArray[np.float64]
    semantic: NDArray[np.uint8]
    instance: NDArray[np.int32]
    attributes: dict[str, NDArray[np.generic]]

    def __len__(self) -> int:
        return len(self.xyz)


def fuse(files: Sequence[Path], voxel: float, min_views: int) -> Cloud:
    """Return the fused cloud of the sample files of all images, one point per voxel, ordered by voxel.

    Of a voxel's samples those within 3 sigma of their median place count; it is kept when they come from at least
    ``min_views`` images. Place and colour: mean of the samples within 2 MAD of the median (the median absolute
    deviation of the distances). Class: majority of the pixels, ties to the smaller id; instance: the same among the
    pixels of that class. Attributes: ``rgb`` uint8 (N, 3), ``n_views`` uint16 (N,) and ``purity`` float32 (N,), the
    share of the pixels that voted for the class.

    The files (arrays of ``SAMPLE``, as ``tofile`` writes them) are read slab by slab in x, so that only fused voxels
    stay in memory; the result depends on the order of the files (camera order) and on nothing else.
    """
    parts = [_fuse_slab(rows, image, voxel, min_views) for rows, image in _slabs(files)]
    if not parts:
        parts = [_fuse_slab(np.empty(0, SAMPLE), np.empty(0, np.int64), voxel, min_views)]
    names = list(parts[0].attributes)
    return Cloud(np.concatenate([part.xyz for part in parts]), np.concatenate([part.semantic for part in parts]),
                 np.concatenate([part.instance for part in parts]),
                 {name: np.concatenate([part.attributes[name] for part in parts]) for name in names})


def _slabs(files: Sequence[Path]) -> Iterator[tuple[Samples, NDArray[np.int64]]]:
    """Samples with their image number, sorted by voxel, in slabs of whole x columns."""
    columns = [(np.fromfile(path, SAMPLE)['voxel'] >> 42).astype(np.int32) for path in files]
    filled = [column for column in columns if len(column)]
    if not filled:
        return
    low, high = min(int(column[0]) for column in filled), max(int(column[-1]) for column in filled)
    per_column = np.zeros(high - low + 1, np.int64)
    for column in filled:
        per_column += np.bincount(column - low, minlength=len(per_column))
    slab = np.cumsum(per_column) // _ROWS
    starts = low + np.flatnonzero(np.r_[True, slab[1:] != slab[:-1]])
    for start, stop in zip(starts, [*starts[1:], high + 1]):
        ranges = [np.searchsorted(column, (start, stop)) for column in columns]
        rows = np.concatenate([np.fromfile(path, SAMPLE, int(last - first), offset=int(first) * SAMPLE.itemsize)
                               for path, (first, last) in zip(files, ranges)])
        image = np.repeat(np.arange(len(files)), [int(last - first) for first, last in ranges])
        order = np.argsort(rows['voxel'], kind='stable')
        yield rows[order], image[order]


def _fuse_slab(rows: Samples, image: NDArray[np.int64], voxel: float, min_views: int) -> Cloud:
    """Fuse samples sorted by voxel, then image."""
    group, count = _groups(rows['voxel'])
    median = np.stack([_group_median(rows['place'][:, axis].astype(np.float64), group, count) for axis in range(3)], 1)
    distance = np.linalg.norm(rows['place'] - median[group], axis=1)
    agrees = distance * voxel <= 3 * rows['sigma'].astype(np.float64) + 1e-9
    views = _count_images(group, image, agrees, len(count))
    good = agrees & (views >= min_views)[group]
    rows = rows[good]
    key = rows['voxel']
    group, count = _groups(key)
    old = np.flatnonzero(views >= min_views)
    centre = np.stack([_group_median(rows['place'][:, axis].astype(np.float64), group, count) for axis in range(3)], 1)
    distance = np.linalg.norm(rows['place'] - centre[group], axis=1)
    spread = _group_median(distance / 1.8, group, count) * 1.8
    inlier = distance <= 2 * spread[group] + 1e-9
    number = np.bincount(group[inlier], minlength=len(count))
    place = np.stack([np.bincount(group[inlier], rows['place'][inlier, axis], len(count)) for axis in range(3)], 1)
    color = np.stack([np.bincount(group[inlier], rows['rgb'][inlier, axis], len(count)) for axis in range(3)], 1)
    semantic, instance, purity = _vote(rows, group, len(count))
    first = np.r_[0, np.cumsum(count)[:-1]].astype(np.int64) if len(count) else np.empty(0, np.int64)
    corner = unpack_voxels(key[first])
    xyz = np.round((corner + place / np.maximum(number, 1)[:, None]) * voxel, 3)
    return Cloud(xyz, semantic, np.where(instance == 0, -1, instance).astype(np.int32), {
        'rgb': np.rint(color / np.maximum(number, 1)[:, None]).astype(np.uint8),
        'n_views': views[old].astype(np.uint16), 'purity': purity.astype(np.float32)})


def _groups(key: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Group number (N,) and group sizes (G,) of a sorted key."""
    if len(key) == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    new = np.r_[True, key[1:] != key[:-1]]
    group = np.cumsum(new) - 1
    return group, np.bincount(group)


def _group_median(value: NDArray[np.float64], group: NDArray[np.int64], count: NDArray[np.int64]
                  ) -> NDArray[np.float64]:
    """Median (G,) of values in [0, 1) per group, with one sort of ``group + value``."""
    ordered = np.sort(group + np.clip(value, 0, 1 - 1e-7))
    first = np.cumsum(count) - count
    low, high = ordered[first + (count - 1) // 2], ordered[first + count // 2]
    return (low + high) / 2 - np.arange(len(count))


def _count_images(group: NDArray[np.int64], image: NDArray[np.int64], valid: NDArray[np.bool_], groups: int
                  ) -> NDArray[np.int64]:
    """Distinct images (G,) among the valid samples; sorted by group, then image."""
    group, image = group[valid], image[valid]
    if len(group) == 0:
        return np.zeros(groups, np.int64)
    new = np.r_[True, (group[1:] != group[:-1]) | (image[1:] != image[:-1])]
    return np.bincount(group[new], minlength=groups)


def _vote(rows: Samples, group: NDArray[np.int64], groups: int
          ) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.float64]]:
    """Class (G,), instance (G,) and share of the class's votes (G,)."""
    votes = rows['pixels'].astype(np.float64)
    semantic, won = _majority(group, rows['semantic'].astype(np.int64), votes, groups)
    mine = rows['semantic'] == semantic[group]
    instance, _ = _majority(group[mine], rows['instance'][mine].astype(np.int64), votes[mine], groups)
    return semantic.astype(np.uint8), instance, won / np.maximum(np.bincount(group, votes, groups), 1)


def _majority(group: NDArray[np.int64], label: NDArray[np.int64], votes: NDArray[np.float64], groups: int
              ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Label with the most votes and its votes per group; ties to the smaller label."""
    pair, inverse = np.unique(group << 16 | label, return_inverse=True)
    total = np.bincount(inverse, votes)
    order = np.lexsort((pair & 0xFFFF, -total, pair >> 16))
    owner = pair[order] >> 16
    first = order[np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])] if len(owner) else order
    winner, amount = np.zeros(groups, np.int64), np.zeros(groups)
    winner[pair[first] >> 16], amount[pair[first] >> 16] = pair[first] & 0xFFFF, total[first]
    return winner, amount
