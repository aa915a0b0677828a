"""Clutter: crates, traffic cones, pipes, barricades, bins."""

from __future__ import annotations

import numpy as np

from imbdense.data.scene.assets.palette import BINS, pick
from imbdense.data.scene.mesh import ROUGH, Color, Mesh, box, merge, quad, tube


def clutter(rng: np.random.Generator, scale: float) -> Mesh:
    """A group of 0.4–3 m: stacked boxes, cones, a pile of pipes, a barricade or a skip."""
    kind = int(rng.integers(5))
    return (_boxes, _cones, _pipes, _barricade, _skip)[kind](rng, scale)


def _boxes(rng: np.random.Generator, scale: float) -> Mesh:
    """Two to four crates."""
    parts = []
    for k in range(int(rng.integers(2, 5))):
        side = float(rng.uniform(0.5, 1.1)) * scale
        x, y = (float(value) * scale for value in rng.uniform(-0.8, 0.8, 2))
        brown = float(rng.uniform(0.8, 1.2))
        color = (0.48 * brown, 0.34 * brown, 0.18 * brown) if k % 2 == 0 else (0.72, 0.60, 0.42)
        parts.append(box((x, y, side / 2), (side, side * 0.9, side), color, ROUGH))
    return merge(parts)


def _cones(rng: np.random.Generator, scale: float) -> Mesh:
    """A row of traffic cones with square feet."""
    orange: Color = (0.85, 0.22, 0.02)
    parts = []
    for x in np.arange(int(rng.integers(2, 5))) * 0.8 * scale:
        place = float(x) - 0.8 * scale
        parts.append(box((place, 0, 0.03), (0.5 * scale, 0.5 * scale, 0.06), orange))
        parts.append(tube([place, 0, 0.05], [place, 0, 0.8 * scale], 0.2 * scale, orange, 6, end_radius=0.04 * scale))
    return merge(parts)


def _pipes(rng: np.random.Generator, scale: float) -> Mesh:
    """Three to six parallel pipes."""
    length, radius = float(rng.uniform(1.8, 3.0)) * scale, float(rng.uniform(0.12, 0.22)) * scale
    color: Color = (0.62, 0.50, 0.40) if rng.uniform() < 0.5 else (0.80, 0.30, 0.05)
    places = [(k, 0) for k in range(int(rng.integers(3, 5)))] + [(k + 0.5, 1) for k in range(2)]
    parts = []
    for column, row in places:
        y, z = (column - 1.5) * 2 * radius, radius * (1 + 1.75 * row)
        parts.append(tube([-length / 2, y, z], [length / 2, y, z], radius, color, 6, ROUGH))
    return merge(parts)


def _barricade(rng: np.random.Generator, scale: float) -> Mesh:
    """A red and white board on two feet."""
    length = float(rng.uniform(1.6, 2.6)) * scale
    parts = [box((side * 0.4 * length, 0, 0.1), (0.12, 0.7 * scale, 0.2), (0.2, 0.2, 0.2)) for side in (-1, 1)]
    for k, x in enumerate(np.linspace(-0.4, 0.4, 5)):
        color: Color = (0.8, 0.05, 0.03) if k % 2 == 0 else (0.85, 0.85, 0.82)
        parts.append(box((float(x) * length, 0, 0.7 * scale), (0.2 * length, 0.22 * scale, 0.6 * scale), color))
    return merge(parts)


def _skip(rng: np.random.Generator, scale: float) -> Mesh:
    """A refuse container with a lid or an open load."""
    color = pick(rng, BINS)
    length, width, height = (float(rng.uniform(*r)) * scale for r in ((1.4, 2.6), (1.0, 1.5), (1.0, 1.5)))
    hx, hy = 0.46 * length, 0.44 * width
    rubble: Color = (0.40, 0.37, 0.34)
    top = height + 0.01
    load = quad([[-hx, -hy, top], [hx, -hy, top], [hx, hy, top], [-hx, hy, top]], rubble, ROUGH)
    return merge([box((0, 0, height / 2), (length, width, height), color), load])
