"""Shrubs and trees: perturbed icospheres, cones and crown cards on a trunk, by height class."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene.assets.palette import foliage
from imbdense.data.scene.mesh import FOLIAGE, ROUGH, Color, Mesh, icosphere, make, merge, tube

_BARK: Color = (0.22, 0.16, 0.11)


@functools.lru_cache(maxsize=4)
def _sphere(level: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Cached unit sphere."""
    return icosphere(level)


def _blob(rng: np.random.Generator, center: tuple[float, float, float], radius: tuple[float, float], color: Color,
          level: int) -> Mesh:
    """A sphere of radii (horizontal, vertical) whose vertices are pushed in and out by up to 22 %."""
    vertices, faces = _sphere(level)
    radial = 1 + 0.22 * rng.uniform(-1, 1, (len(vertices), 1))
    return make(vertices * radial * [radius[0], radius[0], radius[1]] + np.asarray(center), faces, color, FOLIAGE)


def _cards(rng: np.random.Generator, center: tuple[float, float, float], radius: tuple[float, float], color: Color,
           count: int, size: float) -> Mesh:
    """``count`` single leaf triangles scattered near the surface of an ellipsoid: a ragged outline."""
    direction = rng.standard_normal((count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    distance = rng.uniform(0.75, 1.08, (count, 1))
    middle = direction * distance * [radius[0], radius[0], radius[1]] + np.asarray(center)
    corners = middle[:, None, :] + rng.uniform(-size, size, (count, 3, 3))
    return make(corners.reshape(-1, 3), np.arange(3 * count).reshape(-1, 3), color, FOLIAGE)


def low_vegetation(rng: np.random.Generator, scale: float) -> Mesh:
    """A shrub of 0.5–2 m."""
    height = float(rng.uniform(0.5, 2.0))
    return _bush(rng, height)


def _bush(rng: np.random.Generator, height: float) -> Mesh:
    """Foliage down to the ground."""
    color = foliage(rng)
    radius = height * float(rng.uniform(0.4, 0.6))
    body = _blob(rng, (0, 0, height * 0.5), (radius, height * 0.5), color, 1)
    return merge([body, _cards(rng, (0, 0, height * 0.5), (radius, height * 0.5), color, 40, 0.25 * radius)])


def medium_vegetation(rng: np.random.Generator, scale: float) -> Mesh:
    """A small tree or tall bush of 2–5 m."""
    height = float(rng.uniform(2.0, 5.0))
    return _bush(rng, height) if float(rng.uniform()) < 0.4 else _broadleaf(rng, height)


def high_vegetation(rng: np.random.Generator, scale: float) -> Mesh:
    """A tree of 5–14 m: broad-leaved (75 %) or conifer."""
    height = float(rng.uniform(5.0, 14.0))
    return _conifer(rng, height) if float(rng.uniform()) < 0.25 else _broadleaf(rng, height)


def _broadleaf(rng: np.random.Generator, height: float) -> Mesh:
    """A trunk and one to four crown blobs; the crown's diameter is 0.6–0.8 of the height, at most 9 m."""
    color = foliage(rng)
    radius = min(0.5 * height * float(rng.uniform(0.6, 0.8)), 4.5)
    base = 0.35 * height
    middle, tall = (base + height) / 2, (height - base) / 2
    parts = [tube([0, 0, -0.3], [0, 0, middle], 0.03 * height, _BARK, 4, ROUGH)]
    if float(rng.uniform()) < 0.5:
        parts.append(_blob(rng, (0, 0, middle), (radius, tall), color, 1))
        leaves = 90
    else:
        for angle in rng.uniform(0, 2 * np.pi) + np.arange(4) * np.pi / 2:
            offset = 0.42 * radius
            center = (offset * float(np.cos(angle)), offset * float(np.sin(angle)),
                      middle + float(rng.uniform(-0.2, 0.2)) * tall)
            parts.append(_blob(rng, center, (0.62 * radius, 0.8 * tall), color, 0))
        leaves = 90
    parts.append(_cards(rng, (0, 0, middle), (radius, tall), color, leaves, 0.16 * radius))
    return merge(parts)


def _conifer(rng: np.random.Generator, height: float) -> Mesh:
    """Three stacked cones with ragged edges."""
    red, green, blue = foliage(rng)
    color = (0.7 * red, 0.8 * green, 0.9 * blue)
    radius = 0.5 * height * float(rng.uniform(0.4, 0.55))
    parts = [tube([0, 0, -0.3], [0, 0, 0.3 * height], 0.025 * height, _BARK, 4, ROUGH)]
    for low, high, share in ((0.15, 0.6, 1.0), (0.4, 0.82, 0.72), (0.65, 1.0, 0.45)):
        parts.append(tube([0, 0, low * height], [0, 0, high * height], share * radius, color, 7, FOLIAGE, 0.02))
    parts.append(_cards(rng, (0, 0, 0.35 * height), (0.9 * radius, 0.25 * height), color, 60, 0.2 * radius))
    return merge(parts)
