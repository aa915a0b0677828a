"""Terrain derivatives against the filters of SciPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imbdense.benchmark.speed_case import SpeedCase, Workload, require_close
from imbdense.core.terrain import position_index, slope

SIDE, RADIUS = 1024, 25


def _hills(scale: float) -> NDArray[np.float32]:
    """(H, W) rough heights, in m."""
    side = int(SIDE * scale**0.5)
    steps = np.random.default_rng(0).normal(0, 0.5, (2, side))
    return (500 + np.cumsum(steps[0])[:, None] + np.cumsum(steps[1])[None]).astype(np.float32)


def horn_slope(scale: float) -> Workload:
    """Horn's slope; SciPy's Sobel filters are the same weights."""
    from scipy.ndimage import sobel

    z = _hills(scale)

    def peer() -> NDArray[np.float32]:
        dx, dy = (sobel(z, axis=axis, mode='nearest') / 8 for axis in (1, 0))
        return np.degrees(np.arctan(np.hypot(dx, dy)))

    return Workload(lambda: slope(z, (1.0, 1.0)), peer, lambda ours, peer: require_close('degrees', ours, peer, 1e-3))


def position(scale: float) -> Workload:
    """Topographic position of radius 25; SciPy's running mean does not depend on the radius either."""
    from scipy.ndimage import uniform_filter

    z = _hills(scale)
    return Workload(lambda: position_index(z, RADIUS),
                    lambda: z - uniform_filter(z.astype(np.float64), 2 * RADIUS + 1, mode='nearest'),
                    lambda ours, peer: require_close('metres', ours, peer, 1e-3))


CASES = (
    SpeedCase('terrain-slope', f'Horn slope of {SIDE} x {SIDE}', 'scipy sobel', 0.6, horn_slope, growth=4.6),
    SpeedCase('terrain-position', f'position index, radius {RADIUS}, of {SIDE} x {SIDE}', 'scipy uniform_filter', 2.0,
              position, growth=5.0),
)
