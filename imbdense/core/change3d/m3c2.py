"""M3C2: distances between two clouds along local normals, with a level of detection.

Lague, Brodu & Leroux, "Accurate 3D comparison of complex topography with terrestrial laser scanner", ISPRS J. 82
(2013). Definitions as in py4dgeo 1.2.0, but for the two places named in :func:`m3c2`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbdense.core.change3d.checks import check_overlap, check_xyz
from imbdense.core.change3d.cylinders import Progress, axial_statistics
from imbdense.core.change3d.m3c2_py4dgeo import measure_with_py4dgeo
from imbdense.core.change3d.m3c2_result import M3C2Result, level_of_detection
from imbdense.core.change3d.normals import multiscale_normals
from imbdense.core.checks import check_choice, check_number

Floats = NDArray[np.float64]
ENGINES = ('auto', 'numpy', 'py4dgeo')


def m3c2(
    epoch1: ArrayLike,
    epoch2: ArrayLike,
    core_points: ArrayLike,
    *,
    cylinder_radius: float,
    max_distance: float,
    normal_radii: Sequence[float] | None = None,
    normals: ArrayLike | None = None,
    normals_cloud: ArrayLike | None = None,
    orientation: ArrayLike = (0.0, 0.0, 1.0),
    registration_error: float = 0.0,
    robust: bool = False,
    compat_py4dgeo: bool = False,
    engine: str = 'auto',
    progress: Progress | None = None,
) -> M3C2Result:
    """Measure how far ``epoch2`` (M2, 3) lies from ``epoch1`` (M1, 3) at ``core_points`` (N, 3), all in metres.

    Around each core point c with normal n the points of each epoch with distance to the axis <= r and \\|n . (p - c)\\|
    < L are taken. Mean version: distance = n . (mean of epoch 2 - mean of epoch 1), spread = standard deviation along
    n (n - 1). Robust version: medians, spread = inter-quartile range (not divided by 1.349). ::

        LoD95 = 1.96 (sqrt(s1^2 / n1 + s2^2 / n2) + registration error)

    Edge cases: an empty cylinder in either epoch, or no normal: distance and LoD are NaN. One point (mean version): the
    spread and the LoD are NaN. No core point: empty result.

    Args:
        cylinder_radius: r > 0 (half the "projection scale" d). max_distance: L > 0, to either side.
        normal_radii: see :func:`multiscale_normals`; or ``normals``: one (1, 3) or (3,), or one per core point, any
            length > 0; exactly one of the two.
        normals_cloud: where normals are estimated; ``None`` = epoch 1.
        orientation: normals point to its side.
        registration_error: metres, of the alignment of the two epochs.
        robust: medians and quartiles.
        compat_py4dgeo: repeat what py4dgeo 1.2.0 does: neighbours of smaller radii counted again for normals of
            several radii, and a cylinder of half-length max(L, r). The distances of the default differ there only.
        engine: 'numpy', 'py4dgeo' (the package does the cylinders; normals are ours, without the defect above), or
            'auto' = py4dgeo where it is installed. Both give the same result (1e-9; counts exactly).
        progress: called with (done, total) core points of each of the three passes (numpy engine).

    Raises:
        CloudError: a cloud is empty, has another shape, NaN or infinite coordinates, or the epochs do not overlap.
        ValueError: numbers out of range, none or both of ``normal_radii`` and ``normals``.
        ModuleNotFoundError: ``engine='py4dgeo'`` and it is not installed.
    """
    first, second = check_xyz('epoch1', epoch1), check_xyz('epoch2', epoch2)
    core = check_xyz('core_points', core_points, allow_empty=True)
    radius = check_number('cylinder_radius', cylinder_radius, low=0.0, low_open=True, owner='m3c2')
    length = check_number('max_distance', max_distance, low=0.0, low_open=True, owner='m3c2')
    error = check_number('registration_error', registration_error, low=0.0, owner='m3c2')
    check_choice('engine', engine, ENGINES, owner='m3c2')
    check_overlap(first, second, ('epoch1', 'epoch2'), margin=radius)
    length = max(length, radius) if compat_py4dgeo else length

    # Map coordinates are large: near the origin, sums of squares keep their digits.
    origin = first.mean(axis=0)
    first, second, core = first - origin, second - origin, core - origin
    if normals is None:
        cloud = first if normals_cloud is None else check_xyz('normals_cloud', normals_cloud) - origin
        directions, used = multiscale_normals(cloud, core, _radii(normal_radii), orientation=orientation,
                                              compat_py4dgeo=compat_py4dgeo, progress=progress)
    elif normal_radii is not None or normals_cloud is not None:
        raise ValueError('m3c2: normals are given: leave normal_radii and normals_cloud out.')
    else:
        directions, used = given_normals(normals, len(core)), np.full(len(core), np.nan)
    if _uses_py4dgeo(engine, radius, length):
        return measure_with_py4dgeo(first, second, core, directions, used, radius, length, error, robust)
    return _measure(first, second, core, directions, used, radius, length, error, robust, progress)


def _uses_py4dgeo(engine: str, radius: float, length: float) -> bool:
    """Which engine measures. py4dgeo makes a cylinder that is shorter than wide as long as wide, so it cannot."""
    wide = length < radius
    if engine == 'py4dgeo' and wide:
        raise ValueError(f"m3c2: py4dgeo cannot measure with max_distance {length} < cylinder_radius {radius}: use "
                         f"engine='numpy'.")
    return engine == 'py4dgeo' or (engine == 'auto' and not wide and importlib.util.find_spec('py4dgeo') is not None)


def _measure(
    first: Floats, second: Floats, core: Floats, directions: Floats, used: Floats, radius: float, length: float,
    error: float, robust: bool, progress: Progress | None,
) -> M3C2Result:  # fmt: skip
    """The numpy engine: statistics of both epochs along the normals, and what follows from them."""
    sides = [
        axial_statistics(core, directions, cloud, radius, length, robust=robust, progress=progress)
        for cloud in (first, second)
    ]
    level = level_of_detection(sides[0].spread, sides[0].count, sides[1].spread, sides[1].count, error)
    return M3C2Result(
        sides[1].position - sides[0].position, level, sides[0].spread, sides[1].spread, sides[0].count,
        sides[1].count, sides[0].position, sides[1].position, directions, used, 'numpy',
    )  # fmt: skip


def given_normals(normals: ArrayLike, size: int) -> Floats:
    """Unit normals (size, 3) of one or ``size`` given vectors.

    Raises:
        ValueError: another shape, a vector of length 0 or with NaN.
    """
    vectors = np.atleast_2d(np.asarray(normals, dtype=np.float64))
    if vectors.ndim != 2 or vectors.shape[1] != 3 or vectors.shape[0] not in (1, size):
        raise ValueError(f'm3c2: normals must be (3,), (1, 3) or one per core point ({size}, 3), but are '
                         f'{np.shape(normals)}.')
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(length).all() or (length == 0).any():
        raise ValueError('m3c2: normals must be finite and longer than 0.')
    return np.ascontiguousarray(np.broadcast_to(vectors / length, (size, 3)))


def _radii(radii: Sequence[float] | None) -> list[float]:
    """Checked normal radii."""
    if not radii:
        raise ValueError('m3c2: give normal_radii (metres, for example [1.0, 2.0]) or normals, for example (0, 0, 1).')
    return [check_number('normal_radii', radius, low=0.0, low_open=True, owner='m3c2') for radius in radii]
