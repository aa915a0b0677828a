"""The cylinders of M3C2 measured by py4dgeo (3DGeo group, Heidelberg; MIT), in such a way that nothing is lost."""

from __future__ import annotations

import logging
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from imbdense.core.change3d.m3c2_result import M3C2Result

Floats = NDArray[np.float64]
NUDGE = 1e-9
"""Metres by which core points are moved along their normal, see :func:`measure_with_py4dgeo`."""


def quiet_py4dgeo() -> ModuleType:
    """py4dgeo, imported so that it leaves no ``py4dgeo.log`` in the current folder and does not tell every step.

    Its import sets up such a file, which the first message creates. That handler is taken away (one to a file that the
    caller has chosen stays); warnings still reach the terminal. Every import of py4dgeo in imbdense goes through here.
    """
    import py4dgeo

    logger = logging.getLogger('py4dgeo')
    for handler in list(logger.handlers):
        if isinstance(handler, logging.FileHandler) and Path(handler.baseFilename).name == 'py4dgeo.log':
            logger.removeHandler(handler)
            handler.close()
    logger.setLevel(logging.WARNING)
    module: ModuleType = py4dgeo
    return module


def measure_with_py4dgeo(
    epoch1: Floats,
    epoch2: Floats,
    core_points: Floats,
    normals: Floats,
    normal_radius: Floats,
    radius: float,
    half_length: float,
    registration_error: float,
    robust: bool,
) -> M3C2Result:
    """:func:`m3c2` with the arguments checked and the normals known; ``half_length`` >= ``radius``.

    py4dgeo 1.2.0 cuts a cylinder into slabs that are open at both ends. A point on the border of two slabs is lost, or
    counted twice, as rounding decides; with an even number of slabs the core point itself is such a point. All core
    points are therefore moved by a nanometre along their normal, and the cylinder is shortened by two: no border lies
    on a point that is where it was measured, and the ends are open as before.
    """
    py4dgeo = quiet_py4dgeo()
    usable = np.isfinite(normals).all(axis=1)
    size = len(core_points)
    distance, level, spread1, spread2 = (np.full(size, np.nan) for _ in range(4))
    count1, count2 = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    if usable.any():
        directions = np.ascontiguousarray(normals[usable])
        algorithm = py4dgeo.M3C2(
            epochs=(py4dgeo.Epoch(np.ascontiguousarray(epoch1)), py4dgeo.Epoch(np.ascontiguousarray(epoch2))),
            corepoints=np.ascontiguousarray(core_points[usable] + NUDGE * directions),
            corepoint_normals=directions,
            cyl_radius=radius,
            max_distance=half_length - 2 * NUDGE,
            registration_error=registration_error,
            robust_aggr=robust,
        )
        distance[usable], found = algorithm.run()
        level[usable] = found['lodetection']
        count1[usable], count2[usable] = found['num_samples1'], found['num_samples2']
        spread1[usable] = np.where(found['num_samples1'] > 0, found['spread1'], np.nan)
        spread2[usable] = np.where(found['num_samples2'] > 0, found['spread2'], np.nan)
    unknown = np.full(size, np.nan)
    return M3C2Result(
        distance, level, spread1, spread2, count1, count2, unknown, unknown, normals, normal_radius, 'py4dgeo'
    )
