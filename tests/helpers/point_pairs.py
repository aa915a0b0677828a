"""Two epochs of a tiny town, made in milliseconds: what a house, a tree and a car look like when they come and go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from imbdense.core.change3d import cross_links, epoch_pyramid, neighbours_within
from imbdense.core.change3d.m3c2_classes import DEMOLITION, MISSING_VEGETATION, MOBILE, NEW_BUILDING, NEW_VEGETATION
from imbdense.data.points import PointCloud, write_points
from imbdense.nn.change3d import Links
from imbdense.nn.point_conv import EpochLevels, PointLevel

Floats = NDArray[np.float64]
FAR = np.array([650_000.0, 6_860_000.0, 120.0])
CLASSES = ('unchanged', 'new building', 'demolition', 'new vegetation', 'growth', 'missing vegetation', 'mobile')
KINDS = {'house': (NEW_BUILDING, DEMOLITION), 'tree': (NEW_VEGETATION, MISSING_VEGETATION), 'car': (MOBILE, MOBILE)}
SIZES = {'house': (6.0, 5.0, 5.0), 'tree': (2.0, 2.0, 5.0), 'car': (2.2, 1.2, 1.5)}
"""Half length, half width, height in metres."""


def tiny_town(
    seed: int, side: float = 60.0, density: float = 4.0, objects: int = 12, change: float = 0.5
) -> tuple[Floats, NDArray[np.int64], Floats, NDArray[np.int64], NDArray[np.int64]]:
    """(epoch 1, its labels, epoch 2, its labels, its objects of change, -1 = none) of a flat square with things on it.

    Every object is at epoch 1, at epoch 2 or, with probability 1 - ``change``, at both. Labels lie on the object where
    it is, and on the ground that its removal shows at epoch 2.
    """
    rng = np.random.default_rng(seed)
    cells = [(i, j) for i in range(4) for j in range(3)]
    pitch = np.array([side / 4, side / 3])
    placed = [(cells[k], ('house', 'tree', 'car')[k % 3], rng.random() < change, rng.random() < 0.5)
              for k in rng.permutation(len(cells))[:objects]]
    epochs = []
    for number in (0, 1):
        xy = rng.uniform(0, side, (int(side**2 * density), 2))
        z, label, thing = np.zeros(len(xy)), np.zeros(len(xy), dtype=np.int64), np.full(len(xy), -1)
        for name, (cell, kind, changes, first) in enumerate(placed):
            half_x, half_y, height = SIZES[kind]
            offset = xy - (np.array(cell) + 0.5) * pitch
            inside = (np.abs(offset[:, 0]) <= half_x) & (np.abs(offset[:, 1]) <= half_y)
            if kind == 'tree':
                inside = np.hypot(*offset.T) <= half_x
            there = not changes or first == (number == 0)
            if there:
                top = height * rng.uniform(0.4, 1.0, int(inside.sum())) if kind == 'tree' else height
                z[inside] = top
            if changes and (there or number == 1):
                label[inside] = KINDS[kind][0 if number == 1 and there else 1] if number == 1 else KINDS[kind][1]
                thing[inside] = name
        xyz = np.column_stack([xy, z + rng.normal(0, 0.03, len(xy))])
        epochs.append((xyz, label, thing))
    return epochs[0][0], epochs[0][1], epochs[1][0], epochs[1][1], epochs[1][2]


def sorted_cells(xyz: Floats, voxel: float) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Occupied cells in order, the first point of each, and its number."""
    coords, index = np.unique(np.floor(xyz / voxel).astype(np.int64), axis=0, return_index=True)
    return coords, xyz[index].astype(np.float32), index


def level_tensors(xyz: Floats, voxel: float, depth: int, limit: int = 0) -> list[PointLevel]:
    """The levels of one cloud as tensors; with neighbours if ``limit``."""
    rng = np.random.default_rng(0)
    coords, points, _ = sorted_cells(xyz, voxel)
    levels = epoch_pyramid(coords, points, depth)
    found = []
    for number, level in enumerate(levels):
        near = pool = None
        if limit:
            reach = 2.5 * voxel * 2**number
            near = torch.from_numpy(neighbours_within(level.points, level.points, reach, limit, rng)).long()
            if number < depth:
                pool = torch.from_numpy(neighbours_within(levels[number + 1].points, level.points, reach, limit, rng))
                pool = pool.long()
        found.append(PointLevel(torch.from_numpy(level.coords), torch.from_numpy(level.points),
                                torch.from_numpy(level.parent), near, pool))
    return found


def pair_tensors(
    here: list[Floats], there: list[Floats], voxel: float, depth: int, limit: int = 0, neighbours: int = 1
) -> tuple[EpochLevels, EpochLevels, list[Links]]:
    """A batch of pairs and the links from ``here`` to ``there``."""
    sides = [[level_tensors(xyz, voxel, depth, limit) for xyz in side] for side in (here, there)]
    links: list[list[Links]] = []
    for one, other in zip(here, there):
        pyramids = [epoch_pyramid(*sorted_cells(xyz, voxel)[:2], depth) for xyz in (one, other)]
        links.append([Links(torch.from_numpy(item.index), torch.from_numpy(item.weight))
                      for item in cross_links(*pyramids, voxel, neighbours=neighbours)])
    stacked = [Links.stack([own[level] for own in links], [len(cloud[level]) for cloud in sides[1]])
               for level in range(depth + 1)]
    return EpochLevels.stack(sides[0]), EpochLevels.stack(sides[1]), stacked


def write_town(folder: Path, seeds: Sequence[int], suffix: str = 'npz', **options: float) -> None:
    """One folder ``scene_<seed>`` per seed with both epochs."""
    for seed in seeds:
        one, label1, two, label2, objects = tiny_town(seed, **options)
        place = folder / f'scene_{seed}'
        place.mkdir(parents=True, exist_ok=True)
        write_points(place / f'epoch1.{suffix}', PointCloud(one + FAR, {}, label1))
        write_points(place / f'epoch2.{suffix}', PointCloud(two + FAR, {}, label2, objects))
