"""Triangle meshes with per-face colour, texture kind and class, and the primitives the assets are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

SMOOTH, ROUGH, FOLIAGE, TILES = range(4)
"""Texture kinds of a face: paint and glass; plaster, concrete, asphalt; leaves; roof tiles (rows of equal height)."""
INHERIT = 255
"""Face class that means: the class of the object the face belongs to."""
Color = tuple[float, float, float]


@dataclass(frozen=True)
class Mesh:
    """``vertices`` float64 (V, 3) in m; ``faces`` int32 (T, 3); ``color`` float32 (T, 3) linear albedo in [0, 1];
    ``texture`` uint8 (T,); ``semantic`` uint8 (T,), a raw class id or ``INHERIT``."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int32]
    color: NDArray[np.float32]
    texture: NDArray[np.uint8]
    semantic: NDArray[np.uint8]

    def placed(self, x: float, y: float, z: float, yaw: float = 0.0, scale: float = 1.0) -> Mesh:
        """Return the mesh scaled, turned by ``yaw`` (rad, counter-clockwise about +z) and moved to (x, y, z)."""
        cosine, sine = np.cos(yaw), np.sin(yaw)
        rotation = np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])
        moved = self.vertices * scale @ rotation + np.array([x, y, z])
        return Mesh(moved, self.faces, self.color, self.texture, self.semantic)


def make(vertices: ArrayLike, faces: ArrayLike, color: Color, texture: int = SMOOTH, semantic: int = INHERIT) -> Mesh:
    """Return a mesh of one colour, texture and class."""
    points = np.asarray(vertices, np.float64).reshape(-1, 3)
    triangles = np.asarray(faces, np.int32).reshape(-1, 3)
    count = len(triangles)
    return Mesh(points, triangles, np.tile(np.asarray(color, np.float32), (count, 1)),
                np.full(count, texture, np.uint8), np.full(count, semantic, np.uint8))


def merge(parts: Sequence[Mesh]) -> Mesh:
    """Return one mesh of all ``parts`` (at least one)."""
    offsets = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    return Mesh(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.faces + offset for part, offset in zip(parts, offsets)]).astype(np.int32),
        np.concatenate([part.color for part in parts]),
        np.concatenate([part.texture for part in parts]),
        np.concatenate([part.semantic for part in parts]),
    )


def quad(corners: ArrayLike, color: Color, texture: int = SMOOTH, semantic: int = INHERIT) -> Mesh:
    """Return two triangles through four corners given in order round the quad."""
    return make(corners, [[0, 1, 2], [0, 2, 3]], color, texture, semantic)


def frustum(bottom: tuple[float, float, float, float], top: tuple[float, float, float, float], z0: float, z1: float,
            color: Color, texture: int = SMOOTH) -> Mesh:
    """Return a closed body between two rectangles (x0, x1, y0, y1) at heights ``z0`` and ``z1``: 12 triangles."""
    vertices = [[x, y, z] for (x0, x1, y0, y1), z in ((bottom, z0), (top, z1))
                for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]
    faces = [[0, 2, 1], [0, 3, 2], [4, 5, 6], [4, 6, 7]]
    for k in range(4):
        faces += [[k, (k + 1) % 4, 4 + (k + 1) % 4], [k, 4 + (k + 1) % 4, 4 + k]]
    return make(vertices, faces, color, texture)


def box(center: tuple[float, float, float], size: tuple[float, float, float], color: Color,
        texture: int = SMOOTH) -> Mesh:
    """Return an axis-aligned box: 12 triangles."""
    (x, y, z), (length, width, height) = center, size
    rectangle = (x - length / 2, x + length / 2, y - width / 2, y + width / 2)
    return frustum(rectangle, rectangle, z - height / 2, z + height / 2, color, texture)


def tube(start: ArrayLike, end: ArrayLike, radius: float, color: Color, sides: int = 4, texture: int = SMOOTH,
         end_radius: float | None = None) -> Mesh:
    """Return a straight prism or cone from ``start`` to ``end`` with ``sides`` faces and closed ends."""
    first, last = np.asarray(start, float), np.asarray(end, float)
    axis = last - first
    axis = axis / max(float(np.linalg.norm(axis)), 1e-9)
    helper = np.array([1.0, 0.0, 0.0]) if abs(axis[0]) < 0.9 else np.array([0.0, 1.0, 0.0])
    across = np.cross(axis, helper)
    across /= np.linalg.norm(across)
    upward = np.cross(axis, across)
    angle = 2 * np.pi * (np.arange(sides) + 0.5) / sides
    ring = np.cos(angle)[:, None] * across + np.sin(angle)[:, None] * upward
    tip = radius if end_radius is None else end_radius
    vertices = np.concatenate([first + radius * ring, last + tip * ring])
    faces = []
    for k in range(sides):
        following = (k + 1) % sides
        faces += [[k, following, sides + following], [k, sides + following, sides + k]]
    faces += [[0, k + 1, k] for k in range(1, sides - 1)]
    faces += [[sides, sides + k, sides + k + 1] for k in range(1, sides - 1)]
    return make(vertices, faces, color, texture)


def wheel(center: ArrayLike, radius: float, thickness: float, color: Color, sides: int = 8) -> Mesh:
    """Return a disc with its axis along y."""
    middle = np.asarray(center, float)
    half = np.array([0.0, thickness / 2, 0.0])
    return tube(middle - half, middle + half, radius, color, sides)


def icosphere(level: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Return vertices (unit sphere) and faces of an icosahedron subdivided ``level`` times: 20·4^level triangles."""
    golden = (1 + 5**0.5) / 2
    points = [[-1, golden, 0], [1, golden, 0], [-1, -golden, 0], [1, -golden, 0], [0, -1, golden], [0, 1, golden],
              [0, -1, -golden], [0, 1, -golden], [golden, 0, -1], [golden, 0, 1], [-golden, 0, -1], [-golden, 0, 1]]
    faces = [[0, 11, 5], [0, 5, 1], [0, 1, 7], [0, 7, 10], [0, 10, 11], [1, 5, 9], [5, 11, 4], [11, 10, 2],
             [10, 7, 6], [7, 1, 8], [3, 9, 4], [3, 4, 2], [3, 2, 6], [3, 6, 8], [3, 8, 9], [4, 9, 5], [2, 4, 11],
             [6, 2, 10], [8, 6, 7], [9, 8, 1]]
    vertices = [np.asarray(point, float) / np.linalg.norm(point) for point in points]
    for _ in range(level):
        middle: dict[tuple[int, int], int] = {}
        finer = []
        for a, b, c in faces:
            edge = []
            for first, second in ((a, b), (b, c), (c, a)):
                key = (min(first, second), max(first, second))
                if key not in middle:
                    point = vertices[first] + vertices[second]
                    middle[key] = len(vertices)
                    vertices.append(point / np.linalg.norm(point))
                edge.append(middle[key])
            finer += [[a, edge[0], edge[2]], [b, edge[1], edge[0]], [c, edge[2], edge[1]], edge]
        faces = finer
    return np.asarray(vertices), np.asarray(faces, np.int32)
