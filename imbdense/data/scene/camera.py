"""Pinhole camera with Brown–Conrady distortion; pixel centres lie at integer + 0.5.

Camera frame: x right, y down, z forward.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Distortion = tuple[float, float, float, float]


def distort(x: NDArray[Any], y: NDArray[Any], distortion: Distortion) -> tuple[NDArray[Any], NDArray[Any]]:
    """Map ideal to distorted normalised coordinates.

    ``x_d = x(1 + k1 r² + k2 r⁴) + 2 p1 x y + p2 (r² + 2x²)``, ``y_d`` symmetric (Brown 1971), ``r² = x² + y²``.
    """
    k1, k2, p1, p2 = distortion
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2 * r2
    return (x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x), y * radial + 2 * p2 * x * y + p1 * (r2 + 2 * y * y))


def undistort(x_d: NDArray[Any], y_d: NDArray[Any], distortion: Distortion, iterations: int = 5
              ) -> tuple[NDArray[Any], NDArray[Any]]:
    """Invert :func:`distort` by ``iterations`` fixed-point steps ``x ← (x_d - tangential(x)) / radial(x)``."""
    k1, k2, p1, p2 = distortion
    x, y = x_d, y_d
    for _ in range(iterations):
        r2 = x * x + y * y
        radial = 1 + k1 * r2 + k2 * r2 * r2
        x, y = ((x_d - 2 * p1 * x * y - p2 * (r2 + 2 * x * x)) / radial,
                (y_d - 2 * p2 * x * y - p1 * (r2 + 2 * y * y)) / radial)
    return x, y


class RaySource(Protocol):
    """Anything that looks at a scene: one ray per pixel."""

    @property
    def width(self) -> int:
        """Columns."""

    @property
    def height(self) -> int:
        """Rows."""

    def rays(self, scale: float = 1.0, shift: tuple[float, float] = (0.5, 0.5)
             ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return origins, (3,) or (N, 3), and directions (N, 3); N = pixels at ``scale`` times the resolution."""


@dataclass(frozen=True)
class Camera:
    """One exposure.

    ``intrinsics`` (3, 3); ``distortion`` (k1, k2, p1, p2); ``c2w`` (4, 4) camera to world in m; ``width``, ``height``
    in pixels; ``heading``, ``tilt`` nominal angles in degrees; ``agl`` nominal height above ground in m.
    """

    number: int
    intrinsics: NDArray[np.float64]
    distortion: Distortion
    c2w: NDArray[np.float64]
    width: int
    height: int
    heading: float
    tilt: float
    agl: float

    def directions(self, scale: float = 1.0, shift: tuple[float, float] = (0.5, 0.5)) -> NDArray[np.float32]:
        """Return ray directions in the camera frame, float32 (H, W, 3), with z = 1 (so that t is the z depth).

        ``scale`` < 1 gives a coarser grid over the same field of view; ``shift`` is the place inside a pixel.
        """
        k = self.intrinsics
        return _directions((self.width, self.height), (float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2])),
                           self.distortion, scale, shift)

    def rays(self, scale: float = 1.0, shift: tuple[float, float] = (0.5, 0.5)
             ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the camera centre (3,) and ray directions (N, 3) in the world; a ray's parameter is the z depth."""
        directions = self.directions(scale, shift).reshape(-1, 3)
        return self.c2w[:3, 3].astype(np.float32), directions @ self.c2w[:3, :3].T.astype(np.float32)

    def project(self, points: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Project world points (N, 3): pixel coordinates (N, 2) and z depths (N,); points behind have depth ≤ 0."""
        local = (np.asarray(points, np.float64) - self.c2w[:3, 3]) @ self.c2w[:3, :3]
        depth = local[:, 2]
        safe = np.where(np.abs(depth) > 1e-12, depth, 1e-12)
        x, y = distort(local[:, 0] / safe, local[:, 1] / safe, self.distortion)
        k = self.intrinsics
        return np.stack([k[0, 0] * x + k[0, 2], k[1, 1] * y + k[1, 2]], axis=1), depth

    def record(self, file: str) -> dict[str, Any]:
        """Return the JSON record of ``cameras.json``."""
        return {'id': self.number, 'file': file, 'K': self.intrinsics.tolist(), 'dist': list(self.distortion),
                'c2w': self.c2w.tolist(), 'width': self.width, 'height': self.height, 'heading_deg': self.heading,
                'tilt_deg': self.tilt, 'agl': self.agl}


@dataclass(frozen=True)
class OrthoCamera:
    """Vertical rays through the centres of a square grid: the camera of an orthophoto, row 0 in the north.

    ``size``: side of the scene in m; ``count``: pixels per side; ``top``: height the rays start at; ``offset``: (east,
    north) in m by which the whole grid is moved, for a view that is not quite registered.
    """

    size: float
    count: int
    top: float
    offset: tuple[float, float] = (0.0, 0.0)

    @property
    def width(self) -> int:
        """Columns."""
        return self.count

    @property
    def height(self) -> int:
        """Rows."""
        return self.count

    def rays(self, scale: float = 1.0, shift: tuple[float, float] = (0.5, 0.5)
             ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return origins and directions, both (N, 3); a ray's parameter is the depth below ``top`` in m."""
        count = max(round(self.count * scale), 1)
        cell = self.size / count
        x = (np.arange(count) + shift[0]) * cell + self.offset[0]
        y = self.size - (np.arange(count) + shift[1]) * cell + self.offset[1]
        origin = np.stack([*np.meshgrid(x, y), np.full((count, count), self.top)], -1).reshape(-1, 3)
        return origin.astype(np.float32), np.tile(np.array([[0, 0, -1]], np.float32), (len(origin), 1))


@functools.lru_cache(maxsize=8)
def _directions(size: tuple[int, int], intrinsics: tuple[float, float, float, float], distortion: Distortion,
                scale: float, shift: tuple[float, float]) -> NDArray[np.float32]:
    """Ray directions of a lens: the same for all exposures of a flight, so they are kept."""
    columns, rows = (max(round(side * scale), 1) for side in size)
    u, v = np.meshgrid((np.arange(columns) + shift[0]) * (size[0] / columns), (np.arange(rows) + shift[1])
                       * (size[1] / rows))
    fx, fy, cx, cy = intrinsics
    x, y = undistort((u - cx) / fx, (v - cy) / fy, distortion)
    rays = np.stack([x, y, np.ones_like(x)], axis=-1).astype(np.float32)
    rays.setflags(write=False)
    return rays


def camera_from_record(record: dict[str, Any]) -> Camera:
    """Inverse of :meth:`Camera.record`."""
    k1, k2, p1, p2 = (float(value) for value in record['dist'])
    return Camera(int(record['id']), np.asarray(record['K'], float), (k1, k2, p1, p2), np.asarray(record['c2w'], float),
                  int(record['width']), int(record['height']), float(record['heading_deg']), float(record['tilt_deg']),
                  float(record['agl']))
