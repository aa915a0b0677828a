"""Bikes and motorcycles: thin tubes and wheels; x is forward."""

from __future__ import annotations

import numpy as np

from imbdense.data.scene.assets.palette import CYCLES, METAL, RUBBER, pick
from imbdense.data.scene.mesh import Mesh, box, frustum, merge, tube, wheel


def bike(rng: np.random.Generator, scale: float) -> Mesh:
    """A bicycle of about 1.7 × 0.5 × 1.1 m: wheels, frame, saddle, handlebar, basket, often panniers."""
    color = pick(rng, CYCLES)
    s = scale * float(rng.uniform(0.95, 1.08))
    hub = 0.34 * s
    back, front, crank = [-0.52 * s, 0, hub], [0.52 * s, 0, hub], [-0.05 * s, 0, 0.3 * s]
    seat, head = [-0.2 * s, 0, 0.85 * s], [0.38 * s, 0, 0.9 * s]
    parts = [wheel(point, hub, 0.07 * s, RUBBER, 8) for point in (back, front)]
    for start, end in ((crank, head), (crank, seat), (seat, head), (back, crank), (back, seat), (front, head)):
        parts.append(tube(start, end, 0.035 * s, color, 3))
    parts.append(tube([0.38 * s, -0.26 * s, 1.02 * s], [0.38 * s, 0.26 * s, 1.02 * s], 0.03 * s, METAL, 3))
    parts.append(box((-0.22 * s, 0, 0.9 * s), (0.3 * s, 0.18 * s, 0.08 * s), RUBBER))
    parts.append(box((0.55 * s, 0, 0.85 * s), (0.34 * s, 0.38 * s, 0.2 * s), color))
    if rng.uniform() < 0.6:
        parts.append(box((-0.5 * s, 0, 0.72 * s), (0.4 * s, 0.4 * s, 0.25 * s), color))
    return merge(parts)


def motorcycle(rng: np.random.Generator, scale: float) -> Mesh:
    """A motorcycle of about 2.1 × 0.8 × 1.2 m: wheels, tank, seat, engine, fork, handlebar, top case."""
    color = pick(rng, CYCLES)
    s = scale * float(rng.uniform(0.92, 1.08))
    parts = [wheel([x * s, 0, 0.31 * s], 0.31 * s, 0.16 * s, RUBBER, 8) for x in (-0.72, 0.72)]
    tank = (-0.1 * s, 0.42 * s, -0.2 * s, 0.2 * s)
    parts += [
        frustum(tank, (0.0, 0.35 * s, -0.14 * s, 0.14 * s), 0.6 * s, 0.98 * s, color),
        box((-0.42 * s, 0, 0.8 * s), (0.65 * s, 0.34 * s, 0.14 * s), (0.5 * color[0], 0.5 * color[1], 0.5 * color[2])),
        box((0.05 * s, 0, 0.45 * s), (0.5 * s, 0.42 * s, 0.35 * s), METAL),
        box((0.68 * s, 0, 0.68 * s), (0.4 * s, 0.2 * s, 0.08 * s), color),
        tube([0.72 * s, 0, 0.31 * s], [0.42 * s, 0, 1.05 * s], 0.06 * s, METAL, 4),
        tube([0.4 * s, -0.4 * s, 1.1 * s], [0.4 * s, 0.4 * s, 1.1 * s], 0.035 * s, RUBBER, 4),
        box((0.52 * s, 0, 1.0 * s), (0.16 * s, 0.3 * s, 0.2 * s), color)]
    if rng.uniform() < 0.5:
        parts.append(box((-0.8 * s, 0, 0.98 * s), (0.34 * s, 0.4 * s, 0.26 * s), color))
    turned = merge(parts)
    lean = np.array([[1, 0, 0], [0, np.cos(0.12), np.sin(0.12)], [0, -np.sin(0.12), np.cos(0.12)]])
    return Mesh(turned.vertices @ lean, turned.faces, turned.color, turned.texture, turned.semantic)
