"""Simple polygons: area, self-intersection, convex hull, ear clipping, rectangles."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def signed_area(polygon: ArrayLike) -> float:
    """Return the area of ``polygon`` (N, 2): positive when it runs counter-clockwise."""
    x, y = np.asarray(polygon, float).T
    return 0.5 * float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


def clean(polygon: ArrayLike) -> NDArray[np.float64]:
    """Return the polygon counter-clockwise, without a closing point, repeated or collinear points."""
    points = np.asarray(polygon, float)[:, :2]
    if len(points) > 1 and np.allclose(points[0], points[-1]):
        points = points[:-1]
    kept = [k for k in range(len(points)) if np.linalg.norm(points[k] - points[k - 1]) > 1e-6]
    points = points[kept]
    if len(points) >= 3:
        before, after = points - np.roll(points, 1, 0), np.roll(points, -1, 0) - points
        cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
        points = points[np.abs(cross) > 1e-9]
    return points[::-1] if len(points) >= 3 and signed_area(points) < 0 else points


def is_simple(polygon: NDArray[np.float64]) -> bool:
    """Return whether no two non-adjacent edges of ``polygon`` (N, 2) cross."""
    count = len(polygon)
    starts, ends = polygon, np.roll(polygon, -1, axis=0)

    def side(a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64]) -> float:
        return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))

    for i in range(count):
        for j in range(i + 2, count):
            if i == 0 and j == count - 1:
                continue
            a, b, c, d = starts[i], ends[i], starts[j], ends[j]
            if side(a, b, c) * side(a, b, d) <= 0 and side(c, d, a) * side(c, d, b) <= 0:
                return False
    return True


def convex_hull(points: ArrayLike) -> NDArray[np.float64]:
    """Return the convex hull of ``points`` (N, 2), counter-clockwise (monotone chain)."""
    ordered = sorted(map(tuple, np.asarray(points, float)[:, :2]))

    def half(sequence: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
        chain: list[tuple[float, ...]] = []
        for point in sequence:
            while len(chain) >= 2 and ((chain[-1][0] - chain[-2][0]) * (point[1] - chain[-2][1])
                                       - (chain[-1][1] - chain[-2][1]) * (point[0] - chain[-2][0])) <= 0:
                chain.pop()
            chain.append(point)
        return chain[:-1]

    return np.asarray(half(ordered) + half(ordered[::-1]), float)


def triangulate(polygon: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the faces (N-2, 3) of a simple counter-clockwise polygon (N, 2) by ear clipping."""
    remaining = list(range(len(polygon)))
    faces: list[tuple[int, int, int]] = []
    while len(remaining) > 3:
        for k in range(len(remaining)):
            a, b, c = remaining[k - 1], remaining[k], remaining[(k + 1) % len(remaining)]
            if _is_ear(polygon, a, b, c, remaining):
                faces.append((a, b, c))
                del remaining[k]
                break
        else:  # only numerically degenerate corners are left
            del remaining[0]
    faces.append((remaining[0], remaining[1], remaining[2]))
    return np.asarray(faces, np.int32)


def _is_ear(polygon: NDArray[np.float64], a: int, b: int, c: int, remaining: list[int]) -> bool:
    """Convex corner whose triangle holds no other corner."""
    first, second, third = polygon[a], polygon[b], polygon[c]
    if signed_area([first, second, third]) <= 1e-12:
        return False
    others = polygon[[k for k in remaining if k not in (a, b, c)]]
    inside = np.ones(len(others), bool)
    for start, end in ((first, second), (second, third), (third, first)):
        edge = end - start
        inside &= edge[0] * (others[:, 1] - start[1]) - edge[1] * (others[:, 0] - start[0]) >= 0
    return not bool(inside.any())


def rectangle(center: ArrayLike, half: ArrayLike, angle: float) -> NDArray[np.float64]:
    """Return the four corners, counter-clockwise, of a rectangle turned by ``angle`` (rad)."""
    (hx, hy) = np.asarray(half, float)
    corners = np.array([[-hx, -hy], [hx, -hy], [hx, hy], [-hx, hy]])
    cosine, sine = np.cos(angle), np.sin(angle)
    return corners @ np.array([[cosine, sine], [-sine, cosine]]) + np.asarray(center, float)


def bounding_rectangle(polygon: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return centre, half sizes and angle of the smallest rectangle round ``polygon`` that is parallel to an edge."""
    hull = convex_hull(polygon)
    best: tuple[float, NDArray[np.float64], NDArray[np.float64], float] | None = None
    for start, end in zip(hull, np.roll(hull, -1, axis=0)):
        angle = float(np.arctan2(end[1] - start[1], end[0] - start[0]))
        cosine, sine = np.cos(angle), np.sin(angle)
        turned = hull @ np.array([[cosine, -sine], [sine, cosine]])
        low, high = turned.min(0), turned.max(0)
        area = float(np.prod(high - low))
        if best is None or area < best[0] - 1e-9:
            middle = (low + high) / 2 @ np.array([[cosine, sine], [-sine, cosine]])
            best = (area, middle, (high - low) / 2, angle)
    if best is None:
        raise ValueError('bounding_rectangle: the polygon has no corner.')
    return best[1], best[2], best[3]
