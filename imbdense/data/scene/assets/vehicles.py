"""Cars, trucks, aircraft and military vehicles from boxes and frusta; x is forward."""

from __future__ import annotations

import numpy as np

from imbdense.data.scene.assets.palette import GLASS, METAL, RUBBER, paint
from imbdense.data.scene.mesh import ROUGH, Color, Mesh, box, frustum, merge, quad, tube, wheel


def _wheels(length: float, width: float, radius: float, axles: int) -> list[Mesh]:
    """One wide disc per axle: two tyres seen from above as one."""
    places = np.linspace(-0.34 * length, 0.34 * length, axles)
    return [wheel([float(x), 0, radius], radius, 0.98 * width, RUBBER, 6) for x in places]


def car(rng: np.random.Generator, scale: float) -> Mesh:
    """A passenger car of 3.8–5.0 × 1.7–1.9 × 1.4–1.8 m: body, glazed cabin, coloured roof, lamps."""
    length, width, height = (float(rng.uniform(*r)) * scale for r in ((3.8, 5.0), (1.7, 1.9), (1.4, 1.8)))
    color = paint(rng)
    hood = 0.52 * height
    hx, hy = length / 2, width / 2
    front, back = (0.22 * length, -0.30 * length) if rng.uniform() < 0.6 else (0.2 * length, -0.44 * length)
    parts = [
        frustum((-hx, hx, -hy, hy), (-0.97 * hx, 0.95 * hx, -0.95 * hy, 0.95 * hy), 0.18 * height, hood, color),
        frustum((back, front, -0.9 * hy, 0.9 * hy), (back + 0.35 * scale, front - 0.6 * scale, -0.72 * hy, 0.72 * hy),
                hood, height, GLASS),
    ]
    roof = (back + 0.38 * scale, front - 0.62 * scale, -0.7 * hy, 0.7 * hy)
    parts.append(frustum(roof, roof, height, height + 0.02, color))
    for x, lamp in ((0.93 * hx, (0.9, 0.9, 0.8)), (-0.95 * hx, (0.6, 0.03, 0.02))):
        parts.append(box((x, 0, 0.45 * height), (0.12, 1.7 * hy, 0.12), lamp))
    return merge([*parts, *_wheels(length, width, 0.2 * height, 2)])


def truck(rng: np.random.Generator, scale: float) -> Mesh:
    """One of five kinds, 5–12 × 2.2–2.5 × 2–4 m: box van, flatbed, tanker, dumper, bus."""
    kind = int(rng.integers(5))
    length, width = float(rng.uniform(5, 12)) * scale, float(rng.uniform(2.2, 2.5)) * scale
    height = float(rng.uniform(2.6, 4.0)) * scale
    cab_color, load_color = paint(rng, 0.7), paint(rng, 0.4)
    hx, hy, bed = length / 2, width / 2, 0.9 * scale
    cab_length = min(2.2 * scale, 0.32 * length)
    cab = (hx - cab_length, hx, -hy, hy)
    if kind == 4:
        body = [frustum((-hx, hx, -hy, hy), (-hx, hx, -0.95 * hy, 0.95 * hy), 0.4 * scale, height, load_color),
                box((0, 0, 0.68 * height), (0.96 * length, 1.01 * width, 0.22 * height), GLASS),
                box((-0.2 * length, 0, height), (0.2 * length, 0.6 * width, 0.25 * scale), (0.6, 0.6, 0.6))]
        return merge([*body, *_wheels(length, width, 0.5 * scale, 3)])
    parts = [frustum(cab, (cab[0], hx - 0.3 * scale, -0.92 * hy, 0.92 * hy), 0.5 * scale, min(2.7 * scale, height),
                     cab_color),
             box((hx - 0.12 * scale, 0, 1.9 * scale), (0.3 * scale, 0.85 * width, 0.6 * scale), GLASS),
             box((0, 0, 0.75 * scale), (length, 0.5 * width, 0.3 * scale), (0.1, 0.1, 0.1))]
    rear, gap = -hx, hx - cab_length - 0.25 * scale
    middle, load = (rear + gap) / 2, gap - rear
    if kind == 0:
        parts.append(box((middle, 0, (bed + height) / 2), (load, width, height - bed), load_color))
    elif kind == 1:
        parts.append(box((middle, 0, bed), (load, width, 0.2), (0.32, 0.24, 0.16), ROUGH))
        parts.append(box((middle - 0.1 * load, 0, bed + 0.5), (0.5 * load, 0.7 * width, 0.9), load_color, ROUGH))
    elif kind == 2:
        parts.append(tube([rear, 0, bed + 0.45 * width], [gap, 0, bed + 0.45 * width], 0.48 * width, METAL, 8))
    else:
        parts.append(frustum((rear, gap, -0.8 * hy, 0.8 * hy), (rear, gap, -hy, hy), bed, bed + 1.2 * scale,
                             load_color))
        parts.append(box((middle, 0, bed + 1.2 * scale), (0.9 * load, 0.8 * width, 0.1), (0.35, 0.28, 0.2), ROUGH))
    return merge([*parts, *_wheels(length, width, 0.5 * scale, 3)])


def aircraft(rng: np.random.Generator, scale: float) -> Mesh:
    """A small aeroplane, 8–20 m long, span 9–22 m, 2.5–5 m high: fuselage, wings, tail, engines."""
    length = float(rng.uniform(8, 20)) * scale
    span, tall = length * float(rng.uniform(1.0, 1.15)), 0.25 * length + 0.3 * scale
    radius, hull = 0.06 * length, 0.13 * length
    color: Color = (0.8, 0.8, 0.8) if rng.uniform() < 0.6 else paint(rng, 1.0)
    accent = paint(rng, 1.0)
    parts = [tube([-0.5 * length, 0, hull + 0.4 * radius], [0.3 * length, 0, hull], radius, color, 8),
             tube([0.3 * length, 0, hull], [0.5 * length, 0, hull - 0.2 * radius], radius, color, 8, 0, 0.2 * radius),
             box((0.28 * length, 0, hull + 0.8 * radius), (0.06 * length, radius, 0.5 * radius), GLASS)]
    for side in (-1.0, 1.0):
        root, tip = 0.12 * length, -0.02 * length
        parts.append(_panel([[root, side * radius, hull], [tip, side * span / 2, hull + 0.02 * span],
                             [tip - 0.06 * length, side * span / 2, hull + 0.02 * span],
                             [root - 0.18 * length, side * radius, hull]], color))
        parts.append(_panel([[-0.4 * length, 0, hull + radius], [-0.46 * length, side * 0.18 * span, hull + radius],
                             [-0.5 * length, side * 0.18 * span, hull + radius], [-0.5 * length, 0, hull + radius]],
                            accent))
        parts.append(tube([0.0, side * 0.18 * span, hull - 0.2 * radius], [0.14 * length, side * 0.18 * span,
                          hull - 0.2 * radius], 0.45 * radius, METAL, 6))
    fin = [[-0.38 * length, 0, hull + radius], [-0.47 * length, 0, tall], [-0.5 * length, 0, tall],
           [-0.5 * length, 0, hull + radius]]
    parts.append(_panel(fin, accent, (0.0, 0.1 * scale, 0.0)))
    parts += [tube([x, y, 0], [x, y, hull], 0.06 * scale, METAL, 3)
              for x, y in ((0.35 * length, 0.0), (0.0, 0.06 * span), (0.0, -0.06 * span))]
    return merge(parts)


def _panel(corners: list[list[float]], color: Color, offset: tuple[float, float, float] = (0.0, 0.0, 0.1)) -> Mesh:
    """A thin plate: the quad and its copy moved by ``offset``, joined at the rim by two quads."""
    lower, upper = np.asarray(corners), np.asarray(corners) + np.asarray(offset)
    return merge([quad(lower, color), quad(upper, color), quad([lower[0], lower[1], upper[1], upper[0]], color),
                  quad([lower[2], lower[3], upper[3], upper[2]], color)])


def military(rng: np.random.Generator, scale: float) -> Mesh:
    """A tank with turret and gun or a covered off-road truck, 4.5–7.5 × 2.2–3.6 × 1.9–2.6 m, olive or sand."""
    length = float(rng.uniform(4.5, 7.5)) * scale
    width, height = 0.49 * length, float(rng.uniform(1.9, 2.6)) * scale
    base: Color = (0.20, 0.23, 0.11) if rng.uniform() < 0.6 else (0.50, 0.42, 0.28)
    dark = (0.6 * base[0], 0.6 * base[1], 0.6 * base[2])
    hx, hy = length / 2, width / 2
    if rng.uniform() < 0.5:
        angle = float(rng.uniform(-0.5, 0.5))
        muzzle = [0.75 * length * np.cos(angle), 0.75 * length * np.sin(angle), 0.82 * height]
        return merge([
            frustum((-hx, hx, -0.7 * hy, 0.7 * hy), (-0.9 * hx, 0.75 * hx, -0.7 * hy, 0.7 * hy), 0.2 * height,
                    0.6 * height, base, ROUGH),
            box((0, 0.82 * hy, 0.3 * height), (length, 0.36 * hy, 0.55 * height), dark, ROUGH),
            box((0, -0.82 * hy, 0.3 * height), (length, 0.36 * hy, 0.55 * height), dark, ROUGH),
            frustum((-0.5 * hx, 0.4 * hx, -0.6 * hy, 0.6 * hy), (-0.4 * hx, 0.2 * hx, -0.45 * hy, 0.45 * hy),
                    0.6 * height, height, base, ROUGH),
            tube([0, 0, 0.8 * height], muzzle, 0.09 * scale, dark, 6),
            tube([-0.1 * hx, 0.2 * hy, height], [-0.1 * hx, 0.2 * hy, 1.06 * height], 0.3 * scale, dark, 6)])
    hy = 0.62 * hy
    return merge([
        frustum((-hx, hx, -hy, hy), (-hx, 0.9 * hx, -hy, hy), 0.25 * height, 0.55 * height, base, ROUGH),
        frustum((-hx, 0.0, -hy, hy), (-0.95 * hx, -0.05 * hx, -0.7 * hy, 0.7 * hy), 0.55 * height, height, dark, ROUGH),
        frustum((0.05 * hx, 0.5 * hx, -0.9 * hy, 0.9 * hy), (0.1 * hx, 0.35 * hx, -0.75 * hy, 0.75 * hy),
                0.55 * height, 0.9 * height, base), *_wheels(length, 2 * hy, 0.22 * height, 3)])
