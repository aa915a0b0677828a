"""Pictures of point clouds without a display: parallel projection, nearest point per pixel, edges by depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.report.images import Picture

BACKGROUND = 255
MOST_RADIUS = 6


@dataclass(frozen=True)
class View:
    """A direction of looking.

    Attributes:
        name: for files and captions. azimuth: degrees clockwise from north (+y) of where the eye is. elevation: degrees
            of the eye above the horizon; 90 = straight down, +y up in the picture.
    """

    name: str
    azimuth: float = 180.0
    elevation: float = 90.0

    def axes(self) -> NDArray[np.float64]:
        """Rows: right, up and towards the eye in world coordinates (3, 3), orthonormal."""
        a, e = np.deg2rad(self.azimuth), np.deg2rad(self.elevation)
        eye = np.array([np.sin(a) * np.cos(e), np.cos(a) * np.cos(e), np.sin(e)])
        right = np.array([-np.cos(a), np.sin(a), 0.0])
        return np.stack((right, np.cross(eye, right), eye))


VIEWS = (View('top'), View('south', 200.0, 35.0), View('north-east', 50.0, 35.0))


@dataclass(frozen=True, eq=False)
class Projection:
    """Which point is seen at which pixel; made once per view and used for every layer.

    Attributes:
        point: (H, W) index of the nearest point, −1 = background. depth: (H, W) metres towards the eye, −inf there.
        metres: side of a pixel.
    """

    point: NDArray[np.int64]
    depth: NDArray[np.float64]
    metres: float

    def paint(self, rgb: NDArray[np.uint8]) -> Picture:
        """The picture (H, W, 3) of one layer, with edges darkened where the depth jumps."""
        shown = self.point >= 0
        picture = np.full((*self.point.shape, 3), BACKGROUND, np.uint8)
        picture[shown] = (rgb[self.point[shown]] * _edge_shade(self.depth, self.metres)[shown, None]).astype(np.uint8)
        return picture


def project(xyz: NDArray[np.float64], view: View, side: int = 1000, radius: int | None = None) -> Projection:
    """Find the nearest point of every pixel of a picture whose longer side is ``side``.

    Args:
        xyz: (N, 3) metres, N > 0.
        radius: pixels around each point that it covers as well; ``None`` = so that neighbours touch.

    Raises:
        ValueError: no points, or ``side`` below 8.
    """
    if not len(xyz) or side < 8:
        raise ValueError(f'project: expected points and a side of at least 8 pixels, but got {len(xyz)} and {side}.')
    right, up, depth = view.axes() @ (xyz - xyz.mean(axis=0)).T
    low, high = np.array([right.min(), up.min()]), np.array([right.max(), up.max()])
    metres = max(float((high - low).max()) / (side - 1), 1e-9)
    width, height = (np.rint((high - low) / metres).astype(int) + 1).tolist()
    column = np.rint((right - low[0]) / metres).astype(np.int64)
    row = np.rint((high[1] - up) / metres).astype(np.int64)
    order = np.argsort(depth, kind='stable')  # the nearest is written last
    point = np.full(height * width, -1, np.int64)
    point[(row * width + column)[order]] = order
    point = point.reshape(height, width)
    nearest = np.where(point >= 0, depth[point], -np.inf)
    return _grown(point, nearest, metres, _radius(point) if radius is None else radius)


def _radius(point: NDArray[np.int64]) -> int:
    """Half the mean distance of occupied pixels, from their share of the picture."""
    share = np.count_nonzero(point >= 0) / point.size
    return int(np.clip(np.ceil(0.5 / np.sqrt(share) - 0.55), 0, MOST_RADIUS))


def _grown(point: NDArray[np.int64], depth: NDArray[np.float64], metres: float, radius: int) -> Projection:
    """Let every point cover a disc; the nearer one wins."""
    height, width = point.shape
    best, seen = depth.copy(), point.copy()
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            if (dy, dx) == (0, 0) or dy * dy + dx * dx > (radius + 0.5) ** 2 or abs(dy) >= height or abs(dx) >= width:
                continue
            to = slice(max(dy, 0), height + min(dy, 0)), slice(max(dx, 0), width + min(dx, 0))
            of = slice(max(-dy, 0), height + min(-dy, 0)), slice(max(-dx, 0), width + min(-dx, 0))
            nearer = depth[of] > best[to]
            best[to] = np.where(nearer, depth[of], best[to])
            seen[to] = np.where(nearer, point[of], seen[to])
    return Projection(seen, best, metres)


def _edge_shade(depth: NDArray[np.float64], metres: float) -> NDArray[np.float64]:
    """Brightness (H, W) in (0, 1]: a pixel is darker the farther behind its four neighbours it lies."""
    height, width = depth.shape
    behind = np.zeros_like(depth)
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        to = slice(max(dy, 0), height + min(dy, 0)), slice(max(dx, 0), width + min(dx, 0))
        of = slice(max(-dy, 0), height + min(-dy, 0)), slice(max(-dx, 0), width + min(-dx, 0))
        both = np.isfinite(depth[to]) & np.isfinite(depth[of])
        step = np.zeros(both.shape)
        step[both] = np.maximum(depth[of][both] - depth[to][both], 0) / metres
        behind[to] += np.log1p(step)
    return np.exp(-0.12 * behind)
