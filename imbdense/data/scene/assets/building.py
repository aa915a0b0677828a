"""Buildings: extruded footprints with roofs, parapets, chimneys or plant boxes, and window quads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene import polygon
from imbdense.data.scene.assets.palette import FACADES, FLAT_ROOFS, GLASS, ROOFS, pick
from imbdense.data.scene.classes import WINDOWS
from imbdense.data.scene.layout import BuildingPlan
from imbdense.data.scene.mesh import ROUGH, SMOOTH, TILES, Color, Mesh, box, frustum, make, merge, quad

STOREY, WINDOW_STEP = 3.0, 2.8
WINDOW_WIDTH, WINDOW_HEIGHT, PROUD = 1.2, 1.4, 0.02
OVERHANG = 0.4
_MAX_WINDOWS = 48
_FOUNDATION = 1.5


def build_building(plan: BuildingPlan, ground: float, rng: np.random.Generator) -> Mesh:
    """Return the mesh of ``plan`` in scene coordinates on ground height ``ground``.

    Composed footprints get one roof per rectangle, general footprints a flat roof by ear clipping. Window faces carry
    class 17, everything else the building's class.
    """
    facade = pick(rng, FACADES)
    roof = pick(rng, FLAT_ROOFS if plan.roof == 'flat' else ROOFS)
    if not plan.parts:
        parts = [_prism(plan.footprint, plan.height, facade, roof)]
        parts += _windows(plan.footprint, plan.height)
        return merge(parts).placed(0, 0, ground)
    pieces = []
    for number, (center, half, angle) in enumerate(plan.parts):
        height = plan.height - 0.15 * number  # wings a little lower: their roofs do not fight for the same plane
        local = [*_walls(half, height, facade), *_roof(plan.roof, half, height, roof, facade)]
        local += _details(plan.roof, half, height, rng)
        local += _windows(polygon.rectangle((0, 0), half, 0.0), height, _MAX_WINDOWS // len(plan.parts))
        pieces.append(merge(local).placed(float(center[0]), float(center[1]), ground, angle))
    return merge(pieces)


def _walls(half: NDArray[np.float64], height: float, color: Color) -> list[Mesh]:
    """Four walls that reach below the ground."""
    outline = polygon.rectangle((0, 0), half, 0.0)
    return [_wall(start, end, height, color) for start, end in zip(outline, np.roll(outline, -1, axis=0))]


def _wall(start: NDArray[np.float64], end: NDArray[np.float64], height: float, color: Color) -> Mesh:
    """One vertical quad."""
    return quad([[*start, -_FOUNDATION], [*end, -_FOUNDATION], [*end, height], [*start, height]], color, ROUGH)


def _prism(footprint: NDArray[np.float64], height: float, facade: Color, roof: Color) -> Mesh:
    """Walls and a flat roof over any simple polygon."""
    walls = [_wall(start, end, height, facade) for start, end in zip(footprint, np.roll(footprint, -1, axis=0))]
    top = np.column_stack([footprint, np.full(len(footprint), height)])
    return merge([*walls, make(top, polygon.triangulate(footprint), roof, ROUGH)])


def _roof(kind: str, half: NDArray[np.float64], height: float, color: Color, facade: Color) -> list[Mesh]:
    """Roof over a rectangle: flat with parapet, gable, hip, or shed."""
    hx, hy = float(half[0]), float(half[1])
    if kind == 'flat':
        lid = quad([[-hx, -hy, height - 0.05], [hx, -hy, height - 0.05], [hx, hy, height - 0.05],
                    [-hx, hy, height - 0.05]], color, ROUGH)
        rims = [((0.0, s * (hy - 0.1), height + 0.15), (2 * hx, 0.2, 0.7)) for s in (-1, 1)]
        rims += [((s * (hx - 0.1), 0.0, height + 0.15), (0.2, 2 * hy - 0.4, 0.7)) for s in (-1, 1)]
        return [lid, *(box(place, size, facade, ROUGH) for place, size in rims)]
    if hx < hy:  # the ridge runs along the longer side
        turned = merge(_roof(kind, np.array([hy, hx]), height, color, facade))
        return [turned.placed(0, 0, 0, np.pi / 2)]
    ox, oy = hx + OVERHANG, hy + OVERHANG
    rise = 0.55 * hy
    drop = height - OVERHANG * rise / hy
    eaves = [[-ox, -oy, drop], [ox, -oy, drop], [ox, oy, drop], [-ox, oy, drop]]
    if kind == 'shed':
        slope = 0.3 * hy
        high = [[*eaves[0]], [*eaves[1]], [ox, oy, height + slope], [-ox, oy, height + slope]]
        back = quad([[-hx, hy, height], [hx, hy, height], [hx, hy, height + slope], [-hx, hy, height + slope]], facade,
                    ROUGH)
        gables = [make([[s * hx, -hy, height], [s * hx, hy, height], [s * hx, hy, height + slope]], [[0, 1, 2]], facade,
                       ROUGH) for s in (-1, 1)]
        return [quad(high, color, TILES), back, *gables]
    ridge = ox if kind == 'gable' else max(ox - oy, 0.0)
    left, right = [-ridge, 0, height + rise], [ridge, 0, height + rise]
    faces = [quad([eaves[0], eaves[1], right, left], color, TILES),
             quad([eaves[2], eaves[3], left, right], color, TILES)]
    if kind == 'hip':
        faces += [make([eaves[1], eaves[2], right], [[0, 1, 2]], color, TILES),
                  make([eaves[3], eaves[0], left], [[0, 1, 2]], color, TILES)]
    else:
        faces += [make([[s * hx, -hy, height], [s * hx, hy, height], [s * hx, 0, height + rise]], [[0, 1, 2]], facade,
                       ROUGH) for s in (-1, 1)]
    return faces


def _details(kind: str, half: NDArray[np.float64], height: float, rng: np.random.Generator) -> list[Mesh]:
    """A chimney on pitched roofs; air-conditioning boxes and a stair head on flat ones."""
    hx, hy = float(half[0]), float(half[1])
    if kind != 'flat':
        place = (float(rng.uniform(-0.6, 0.6)) * hx, float(rng.uniform(-0.4, 0.4)) * hy, height + 0.35 * min(hx, hy))
        return [box(place, (0.7, 0.7, 0.7 * min(hx, hy) + 1.0), (0.36, 0.20, 0.15), ROUGH)]
    parts = []
    for _ in range(int(rng.integers(1, 5))):
        size = rng.uniform(0.8, 1.8, 3)
        x, y = (float(share) * extent for share, extent in zip(rng.uniform(-0.7, 0.7, 2), (hx, hy)))
        parts.append(box((x, y, height + float(size[2]) / 2),
                         (float(size[0]), float(size[1]), float(size[2])), (0.58, 0.6, 0.6)))
    if min(hx, hy) > 5 and rng.uniform() < 0.5:
        rectangle = (-0.4 * hx, -0.4 * hx + 3, -1.5, 1.5)
        parts.append(frustum(rectangle, rectangle, height, height + 2.4, (0.5, 0.48, 0.45), ROUGH))
    return parts


def _windows(footprint: NDArray[np.float64], height: float, limit: int = _MAX_WINDOWS) -> list[Mesh]:
    """Window quads 2 cm in front of the walls: one every 2.8 m on each storey, at most ``limit``."""
    corners: list[NDArray[np.float64]] = []
    for start, end in zip(footprint, np.roll(footprint, -1, axis=0)):
        length = float(np.linalg.norm(end - start))
        along = (end - start) / max(length, 1e-9)
        outward = np.array([along[1], -along[0]]) * PROUD
        count = int((length - 0.8) // WINDOW_STEP)
        for storey in range(int(height // STOREY)):
            low = storey * STOREY + 0.9
            for k in range(count):
                left = start + along * (length / 2 + (k - (count - 1) / 2) * WINDOW_STEP - WINDOW_WIDTH / 2) + outward
                right = left + along * WINDOW_WIDTH
                corners.append(np.array([[*left, low], [*right, low], [*right, low + WINDOW_HEIGHT],
                                         [*left, low + WINDOW_HEIGHT]]))
    if not corners:
        return []
    kept = corners if len(corners) <= limit else [corners[k] for k in
                                                  np.unique(np.linspace(0, len(corners) - 1, limit).astype(int))]
    faces = np.concatenate([[[4 * k, 4 * k + 1, 4 * k + 2], [4 * k, 4 * k + 2, 4 * k + 3]] for k in range(len(kept))])
    return [make(np.concatenate(kept), faces, GLASS, SMOOTH, WINDOWS)]
