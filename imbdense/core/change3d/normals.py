"""Normals at core points from several radii, as M3C2 takes them (Lague, Brodu & Leroux, ISPRS J. 82, 2013)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from imbdense.core.change3d.radius_pairs import chunks, leaf_order, pairs_within

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]


def multiscale_normals(
    cloud: Floats,
    core_points: Floats,
    radii: Sequence[float],
    *,
    orientation: ArrayLike = (0.0, 0.0, 1.0),
    compat_py4dgeo: bool = False,
    progress: Progress | None = None,
) -> tuple[Floats, Floats]:
    """Return (normals (N, 3), radius of each (N,)) at ``core_points`` (N, 3) of ``cloud`` (M, 3), float64 metres.

    For each radius R the points within R give a covariance (divided by n - 1) with eigenvalues l0 <= l1 <= l2 and a
    planarity (l1 - l0) / l2. The radius with the largest planarity wins (the first of equals); the normal is its
    eigenvector of l0, turned so that normal . orientation >= 0.

    Edge cases: fewer than three points, or a planarity of 0, within every radius: normal and radius are NaN.

    Args:
        compat_py4dgeo: what py4dgeo 1.2.0 computes with several radii: it keeps the neighbours of the radii before, so
            that a point counts once for every radius that has reached it. One radius is not affected.
        progress: called with (done, total) core points.
    """
    tree = cKDTree(cloud)
    towards = np.asarray(orientation, dtype=np.float64)
    normals, used = np.full(core_points.shape, np.nan), np.full(len(core_points), np.nan)
    order = leaf_order(core_points)
    largest = max(radii)
    for part, found in chunks(len(order)):
        rows = order[part]
        core, point, distance = pairs_within(core_points[rows], tree, largest)
        found.append(len(core))
        offset = cloud[point] - core_points[rows][core]
        best: Floats = np.zeros(len(rows))
        reached: Floats = np.zeros(len(core))
        for radius in radii:
            within = distance <= radius
            reached = reached + within if compat_py4dgeo else within.astype(np.float64)
            planarity, normal = _plane(core, offset, reached, len(rows))
            better = planarity > best
            best[better] = planarity[better]
            normals[rows[better]], used[rows[better]] = normal[better], radius
        if progress is not None:
            progress(part.stop, len(order))
    normals[np.einsum('ij,j->i', normals, towards) < 0] *= -1.0
    return normals, used


def _plane(core: NDArray[np.int64], offset: Floats, weight: Floats, size: int) -> tuple[Floats, Floats]:
    """Planarity (size,) and normal (size, 3) of weighted neighbourhoods; planarity 0 with fewer than three points."""
    kept = weight > 0
    core, offset, weight = core[kept], offset[kept], weight[kept]
    count = np.bincount(core, weights=weight, minlength=size)
    mean = np.stack([np.bincount(core, weights=weight * offset[:, k], minlength=size) for k in range(3)], axis=1)
    centred = offset - (mean / np.maximum(count, 1.0)[:, None])[core]
    covariance = np.zeros((size, 3, 3))
    for row, column in ((0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)):
        product = weight * centred[:, row] * centred[:, column]
        covariance[:, row, column] = np.bincount(core, weights=product, minlength=size)
    values, vectors = np.linalg.eigh(covariance / np.maximum(count - 1.0, 1.0)[:, None, None], UPLO='L')
    usable = (np.bincount(core, minlength=size) >= 3) & (values[:, 2] > 0)
    planarity = np.zeros(size)
    np.divide(values[:, 1] - values[:, 0], values[:, 2], out=planarity, where=usable)
    return planarity, vectors[:, :, 0]
