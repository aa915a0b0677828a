"""Points in cylinders along normals, and the position and spread of them along the axis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from imbdense.core.change3d.radius_pairs import chunks, leaf_order, pairs_within

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class AxialStatistics:
    """Per cylinder (N,): ``position`` and ``spread`` along the axis from the core point (NaN if unknown), ``count``."""

    position: Floats
    spread: Floats
    count: NDArray[np.int64]


def cylinder_points(
    core_points: Floats, normals: Floats, cloud: Floats, tree: cKDTree, radius: float, half_length: float
) -> tuple[NDArray[np.int64], Floats]:
    """(core, axial coordinate) of every point with distance to the axis <= radius and \\|axial\\| < half_length.

    The cylinder is cut into ceil(L / r) slabs, each inside one ball: long cylinders cost their volume, not L cubed.
    Slabs are half-open, so that a point on the border of two counts once.
    """
    slabs = max(int(np.ceil(half_length / radius)), 1)
    half = half_length / slabs
    reach = float(np.hypot(radius, half)) * (1 + 1e-9)
    cores, axials = [], []
    for slab in range(slabs):
        middle = (2 * slab + 1 - slabs) * half
        core, point, _ = pairs_within(core_points + middle * normals, tree, reach)
        offset = cloud[point] - core_points[core]
        axial = np.einsum('ij,ij->i', offset, normals[core])
        across = offset - axial[:, None] * normals[core]
        inside = np.einsum('ij,ij->i', across, across) <= radius * radius
        inside &= (axial >= middle - half) if slab else (axial > -half_length)
        inside &= axial < (middle + half if slab < slabs - 1 else half_length)
        cores.append(core[inside])
        axials.append(axial[inside])
    return np.concatenate(cores), np.concatenate(axials)


def axial_statistics(
    core_points: Floats,
    normals: Floats,
    cloud: Floats,
    radius: float,
    half_length: float,
    *,
    robust: bool = False,
    progress: Progress | None = None,
) -> AxialStatistics:
    """Where ``cloud`` (M, 3) lies along each cylinder axis.

    Mean version: mean and standard deviation (n - 1). Robust version: median and inter-quartile range, by
    :func:`quartiles`. A core point without a finite normal has an empty cylinder.
    """
    tree = cKDTree(cloud)
    size = len(core_points)
    position, spread, count = np.full(size, np.nan), np.full(size, np.nan), np.zeros(size, dtype=np.int64)
    usable = np.flatnonzero(np.isfinite(normals).all(axis=1))
    order = usable[leaf_order(core_points[usable])] if usable.size else usable
    summary = quartiles if robust else mean_and_deviation
    for part, found in chunks(len(order)):
        rows = order[part]
        core, axial = cylinder_points(core_points[rows], normals[rows], cloud, tree, radius, half_length)
        found.append(len(core))
        count[rows] = np.bincount(core, minlength=len(rows))
        position[rows], spread[rows] = summary(core, axial, len(rows))
        if progress is not None:
            progress(part.stop, len(order))
    return AxialStatistics(position, spread, count)


def mean_and_deviation(group: NDArray[np.int64], values: Floats, size: int) -> tuple[Floats, Floats]:
    """Mean and standard deviation (n - 1) of ``values`` per group in [0, size); NaN with no (fewer than two) values."""
    count = np.bincount(group, minlength=size)
    total = np.bincount(group, weights=values, minlength=size)
    mean = np.divide(total, count, out=np.full(size, np.nan), where=count > 0)
    squares = np.bincount(group, weights=(values - mean[group]) ** 2, minlength=size)
    variance = np.divide(squares, count - 1, out=np.full(size, np.nan), where=count > 1)
    return mean, np.sqrt(variance)


def quartiles(group: NDArray[np.int64], values: Floats, size: int) -> tuple[Floats, Floats]:
    """Median and inter-quartile range of ``values`` per group; NaN with no value.

    With a = the n sorted values: q1 = a[n // 4], q2 = a[n // 2], q3 = a[3 n // 4]; where n is divisible by 4 (for the
    median: by 2) the mean of that element and the one before it. This is py4dgeo's convention.
    """
    values = values[np.lexsort((values, group))]
    count = np.bincount(group, minlength=size)
    first = np.cumsum(count) - count
    held = count > 0

    def at(numerator: int, divisor: int) -> Floats:
        found = np.full(size, np.nan)
        place = (first + numerator * count // divisor)[held]
        before = np.where(count[held] % divisor == 0, place - 1, place)
        found[held] = (values[place] + values[before]) / 2.0
        return found

    return at(1, 2), at(3, 4) - at(1, 4)
