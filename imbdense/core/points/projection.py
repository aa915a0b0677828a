"""From points in space to pixels of a view, and whether the view really sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_integer, check_number

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sightings:
    """The points that one view sees, in rising order.

    Attributes:
        point: (n,) int64, indices of the points. row, column: (n,) int64, their pixels.
        agreement: (n,) float64 in [0, 1], how well the depth of the pixel agrees with that of the point: 1 = equal, 0 =
            just within the tolerance; 1 for a view without depths.
    """

    point: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    agreement: Floats


def project(xyz: NDArray[Any], intrinsics: NDArray[Any], camera_to_world: NDArray[Any]) -> tuple[Floats, Floats]:
    """Pinhole projection: ``p = inv(T) xyz; u = f_x x / z + c_x; v = f_y y / z + c_y``.

    Args:
        xyz: (N, 3) world coordinates. intrinsics: (3, 3). camera_to_world: (4, 4) rigid, x right, y down, z forward.

    Returns:
        (N, 2) pixel coordinates (u, v), where the centre of the first pixel is (0, 0) if c_x, c_y are given that way,
        and (N,) depths along the optical axis, <= 0 behind the camera (u and v then mean nothing).
    """
    pose = np.asarray(camera_to_world, np.float64)
    local = (np.asarray(xyz, np.float64) - pose[:3, 3]) @ pose[:3, :3]
    depth = local[:, 2]
    safe = np.where(np.abs(depth) > 1e-12, depth, 1e-12)
    k = np.asarray(intrinsics, np.float64)
    return np.stack([k[0, 0] * local[:, 0] / safe + k[0, 2], k[1, 1] * local[:, 1] / safe + k[1, 2]], 1), depth


def sightings(
    uv: NDArray[Any], depth: NDArray[Any], size: tuple[int, int], *, depth_map: NDArray[Any] | None = None,
    border: int = 0, tolerance: float = 0.05,
) -> Sightings:  # fmt: skip
    """Which projected points a view sees, and where.

    The pixel is the coordinate rounded half to even. A point is seen if ``z > 0``, ``border <= u < W - border`` and
    ``border <= v < H - border`` (the rounded ones), and ``|D[v, u] - z| <= tolerance * D[v, u]`` where there is a
    depth map D (a pixel with D = 0 has met nothing and sees nothing).

    Args:
        uv: (N, 2) coordinates in which the centres of pixels are whole numbers; subtract 0.5 first where a camera puts
            them at 0.5. depth: (N,) z along the optical axis.
        size: (H, W). depth_map: (H, W) z depth in the same unit, or ``None`` = occlusion is not known.
        border: pixels at the edge that are not used. tolerance: >= 0, share of the depth; 0.25 was used for ScanNet,
            from the air take what the height above ground allows (0.05).

    Raises:
        ValueError: a depth map of another size.
    """
    check_integer('border', border, low=0, owner='sightings')
    check_number('tolerance', tolerance, low=0.0, owner='sightings')
    height, width = size
    if depth_map is not None and depth_map.shape != (height, width):
        raise ValueError(f'sightings: the depth map is {depth_map.shape}, but the view is {(height, width)} (H, W).')
    z = np.asarray(depth, np.float64)
    front = np.flatnonzero(z > 0)
    limit = 2.0**31
    place = np.rint(np.asarray(uv, np.float64)[front].clip(-limit, limit)).astype(np.int64)
    u, v = place.T
    inside = (u >= border) & (u < width - border) & (v >= border) & (v < height - border)
    point, row, column = front[inside], v[inside], u[inside]
    if depth_map is None:
        return Sightings(point, row, column, np.ones(len(point)))
    seen = np.asarray(depth_map[row, column], np.float64)
    room = tolerance * seen
    gap = np.abs(seen - z[point])
    visible = (seen > 0) & (gap <= room)
    with np.errstate(invalid='ignore', divide='ignore'):
        agreement = np.where(room > 0, 1 - gap / room, 1.0)[visible]
    return Sightings(point[visible], row[visible], column[visible], agreement)
