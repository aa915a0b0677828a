"""Street furniture: light poles, signs and fences."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from imbdense.data.scene.assets.palette import METAL, POLES, SIGNS, pick
from imbdense.data.scene.mesh import ROUGH, Color, Mesh, box, merge, quad, tube

_FENCES: tuple[Color, ...] = ((0.44, 0.28, 0.16), (0.72, 0.72, 0.70), (0.24, 0.30, 0.22), (0.34, 0.20, 0.12))


def light_pole(rng: np.random.Generator, scale: float) -> Mesh:
    """A lamp post of 5–9 m, shaft 0.12–0.2 m thick, with one or two arms, or a traffic light (15 %)."""
    height, radius = float(rng.uniform(5, 9)) * scale, float(rng.uniform(0.06, 0.1)) * scale
    color = pick(rng, POLES)
    parts = [tube([0, 0, -0.2], [0, 0, height], 1.3 * radius, color, 6, end_radius=radius),
             tube([0, 0, -0.1], [0, 0, 0.3 * scale], 2.5 * radius, (0.3, 0.3, 0.3), 6)]
    if rng.uniform() < 0.15:
        parts.append(tube([0, 0, height], [3.0 * scale, 0, height], radius, color, 4))
        parts.append(box((2.8 * scale, 0, height - 0.5 * scale), (0.4 * scale, 0.4 * scale, scale), (0.05, 0.05, 0.04)))
        return merge(parts)
    for side in (1.0,) if rng.uniform() < 0.75 else (1.0, -1.0):
        reach = side * float(rng.uniform(1.2, 2.2)) * scale
        parts.append(tube([0, 0, height], [reach, 0, height + 0.2 * scale], 0.9 * radius, color, 4))
        lamp = (0.9 * scale, 0.4 * scale, 0.15 * scale)
        parts.append(box((reach, 0, height + 0.2 * scale), lamp, (0.85, 0.86, 0.84)))
    return merge(parts)


def street_sign(rng: np.random.Generator, scale: float) -> Mesh:
    """A post with a plate of about 0.7 m at 2.2 m, tilted back so that it shows from above."""
    plate = pick(rng, SIGNS)
    half, height, lean = 0.38 * scale, 2.2 * scale, 0.3 * scale
    parts = [tube([0, 0, -0.2], [0, 0, height + half], 0.05 * scale, METAL, 4)]
    for x, color in ((0.06 * scale, plate), (-0.02 * scale, METAL)):
        parts.append(quad([[x, -half, height - half], [x, half, height - half], [x - lean, half, height + half],
                           [x - lean, -half, height + half]], color))
    parts.append(box((-lean / 2, 0, height + half), (lean + 0.1 * scale, 2 * half, 0.06 * scale), plate))
    return merge(parts)


def fence(rng: np.random.Generator, scale: float) -> Mesh:
    """Panels of 2 m between posts along x: 6–20 m long, 1–2 m high, 0.05–0.15 m thick."""
    length, height = float(rng.uniform(6, 20)), float(rng.uniform(1.0, 2.0))
    thickness = float(rng.uniform(0.08, 0.15))
    color = _FENCES[int(rng.integers(len(_FENCES)))]
    count = max(round(length / 2.5), 2)
    pieces = np.linspace(-length / 2, length / 2, min(count, 7) + 1)
    parts = []
    for start, end in pairwise(pieces):
        parts.append(box(((start + end) / 2, 0, height / 2), (end - start - 0.06, thickness, height), color, ROUGH))
    posts = [box((float(x), 0, 0.52 * height), (0.16, thickness + 0.08, 1.04 * height), color, ROUGH) for x in pieces]
    return merge([*parts, *posts])
