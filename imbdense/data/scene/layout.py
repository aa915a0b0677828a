"""Where streets, lots and buildings are: a jittered street grid with recursive block subdivision, or a GeoJSON file."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene import polygon as poly
from imbdense.data.scene.config import SceneConfig
from imbdense.data.scene.rng import stream

SIDEWALK = 1.5
"""Width of the pavement on both sides of a street, m."""


@dataclass(frozen=True)
class Road:
    """A street: centre line ``points`` (N, 2) and full ``width`` in m."""

    points: NDArray[np.float64]
    width: float


@dataclass(frozen=True)
class Lot:
    """A rectangular plot: centre (2,), half sizes (2,), angle (rad) and use: 'house', 'yard', 'parking', 'apron'."""

    center: NDArray[np.float64]
    half: NDArray[np.float64]
    angle: float
    use: str


@dataclass(frozen=True)
class BuildingPlan:
    """A building before it gets its mesh.

    ``parts``: rectangles (centre, half, angle) of a rectangle, L or U footprint; empty for a general footprint.
    ``footprint``: outline (N, 2), counter-clockwise. ``height``: eaves height above ground. ``roof``: flat, gable,
    hip or shed.
    """

    parts: tuple[tuple[NDArray[np.float64], NDArray[np.float64], float], ...]
    footprint: NDArray[np.float64]
    height: float
    roof: str


@dataclass(frozen=True)
class Layout:
    """Everything the ground plan holds."""

    roads: tuple[Road, ...]
    lots: tuple[Lot, ...]
    buildings: tuple[BuildingPlan, ...]


@dataclass(frozen=True)
class _Style:
    """What the density knob means."""

    lot_factor: float
    spacing_factor: float
    height_factor: float
    roofs: tuple[tuple[str, float], ...]
    coverage: tuple[float, float]
    empty_use: str


_STYLES: dict[str, _Style] = {
    'suburban': _Style(1.35, 0.9, 0.75, (('gable', 0.5), ('hip', 0.3), ('flat', 0.12), ('shed', 0.08)), (0.65, 0.95),
                       'yard'),
    'urban': _Style(1.3, 0.8, 1.6, (('flat', 0.65), ('gable', 0.2), ('hip', 0.15)), (0.85, 1.0), 'parking'),
    'industrial': _Style(4.0, 1.2, 0.9, (('flat', 0.6), ('shed', 0.2), ('gable', 0.2)), (0.6, 0.9), 'parking'),
    'airfield': _Style(5.0, 1.3, 0.9, (('flat', 0.5), ('gable', 0.5)), (0.5, 0.8), 'apron'),
}


def make_layout(config: SceneConfig) -> Layout:
    """Return the layout of the scene: from ``layout.geojson`` when given, else procedural."""
    if config.layout.geojson is not None:
        from imbdense.data.scene.geojson import read_geojson

        return read_geojson(config.layout.geojson, config.size, config.seed)
    return _procedural(config)


def _procedural(config: SceneConfig) -> Layout:
    """Streets → blocks → lots → buildings, in a frame turned about the scene's centre."""
    rng = stream(config.seed, 'layout')
    style = _STYLES[config.layout.density]
    angle = np.deg2rad(rng.uniform(-20, 20) if config.layout.rotation is None else config.layout.rotation)
    center = np.full(2, config.size / 2)
    reach = config.size * 0.5 * 1.5 + 40
    lines = [_street_positions(rng, config, style, reach) for _ in range(2)]
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    roads = []
    for axis, positions in enumerate(lines):
        for position, width in positions:
            ends = np.array([[-reach - 60, position], [reach + 60, position]]) if axis == 1 else \
                np.array([[position, -reach - 60], [position, reach + 60]])
            roads.append(Road(ends @ rotation + center, width))
    lots: list[Lot] = []
    for low, high in _blocks(lines[0], lines[1]):
        for first, last in _split(rng, low, high, config.layout.min_lot_area * style.lot_factor):
            middle = (first + last) / 2 @ rotation + center
            if bool(np.all(middle > 0)) and bool(np.all(middle < config.size)):
                lots.append(Lot(middle, (last - first) / 2, angle, 'yard'))
    return _build_up(config, style, tuple(roads), lots)


def _street_positions(rng: np.random.Generator, config: SceneConfig, style: _Style,
                      reach: float) -> list[tuple[float, float]]:
    """Positions and widths of the parallel streets across one axis; one lies near the centre of the scene."""
    low, high = config.layout.street_spacing
    start = float(rng.uniform(-0.25, 0.25)) * min(config.size, low)
    positions = [start]
    while positions[-1] < reach:
        positions.append(positions[-1] + float(rng.uniform(low, high)) * style.spacing_factor)
    while positions[0] > -reach:
        positions.insert(0, positions[0] - float(rng.uniform(low, high)) * style.spacing_factor)
    return [(position, float(rng.uniform(*config.layout.street_width))) for position in positions]


def _blocks(across: list[tuple[float, float]], along: list[tuple[float, float]]
            ) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Rectangles (low, high) between neighbouring streets, pavement taken off."""
    blocks = []
    for (u0, wu0), (u1, wu1) in pairwise(across):
        for (v0, wv0), (v1, wv1) in pairwise(along):
            low = np.array([u0 + wu0 / 2 + SIDEWALK, v0 + wv0 / 2 + SIDEWALK])
            high = np.array([u1 - wu1 / 2 - SIDEWALK, v1 - wv1 / 2 - SIDEWALK])
            if bool(np.all(high - low > 6)):
                blocks.append((low, high))
    return blocks


def _split(rng: np.random.Generator, low: NDArray[np.float64], high: NDArray[np.float64], area: float
           ) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Halve a block across its longer side until the halves would be smaller than ``area``."""
    side = high - low
    if float(np.prod(side)) < 2 * area or float(side.max()) < 16:
        return [(low, high)]
    axis = int(np.argmax(side))
    cut = low[axis] + side[axis] * float(rng.uniform(0.42, 0.58))
    first_high, second_low = high.copy(), low.copy()
    first_high[axis] = second_low[axis] = cut
    return _split(rng, low, first_high, area) + _split(rng, second_low, high, area)


def _build_up(config: SceneConfig, style: _Style, roads: tuple[Road, ...], lots: list[Lot]) -> Layout:
    """Give each lot a use and, when built on, a building; one stream per lot."""
    finished, buildings = [], []
    apron = _largest(lots) if config.layout.density == 'airfield' and lots else None
    for number, lot in enumerate(lots):
        rng = stream(config.seed, 'building', number)
        built = float(rng.uniform()) < config.layout.building_share and number != apron
        plan = _plan_building(rng, lot, style) if built else None
        use = 'apron' if number == apron else 'house' if plan else style.empty_use if rng.uniform() < 0.7 else 'yard'
        finished.append(Lot(lot.center, lot.half, lot.angle, use))
        if plan is not None:
            buildings.append(plan)
    return Layout(roads, tuple(finished), tuple(buildings))


def _largest(lots: list[Lot]) -> int:
    """Index of the biggest lot."""
    return int(np.argmax([float(np.prod(lot.half)) for lot in lots]))


def _plan_building(rng: np.random.Generator, lot: Lot, style: _Style) -> BuildingPlan | None:
    """A rectangle, L or U footprint inside the lot's set-backs; ``None`` when the lot is too small."""
    setback = rng.uniform(2, 5, 4)
    spare = 2 * lot.half - 6.5
    if bool(np.any(spare < 2.5)):
        return None
    setback *= np.repeat(np.minimum(1, spare / (setback[0::2] + setback[1::2])), 2)  # small lots: closer to the border
    room = 2 * lot.half - setback[0::2] - setback[1::2]
    size = np.minimum(room * rng.uniform(*style.coverage, 2), [25, 20] if room[0] > room[1] else [20, 25])
    size = np.maximum(size, 6)
    shift = (setback[0::2] - setback[1::2]) / 2
    angle = lot.angle + np.deg2rad(float(rng.uniform(-5, 5))) * min(1.0, max(float(setback.min() - 1), 0.0))
    height = min((float(rng.gamma(3.0, 1.0)) + 3) * style.height_factor, 30)
    names, weights = zip(*style.roofs)
    roof = str(rng.choice(names, p=weights))
    shape = str(rng.choice(['rectangle', 'L', 'U'], p=[0.6, 0.27, 0.13])) if float(size.min()) >= 9 else 'rectangle'
    turn = np.array([[np.cos(lot.angle), np.sin(lot.angle)], [-np.sin(lot.angle), np.cos(lot.angle)]])
    center = lot.center + shift @ turn
    parts = tuple(_placed(part, center, angle) for part in _shape_parts(shape, size, rng))
    outline = poly.rectangle(center, size / 2, angle)
    return BuildingPlan(parts, outline, height, roof)


def _placed(part: tuple[NDArray[np.float64], NDArray[np.float64]], center: NDArray[np.float64], angle: float
            ) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Local rectangle → scene coordinates."""
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return part[0] @ rotation + center, part[1], angle


def _shape_parts(shape: str, size: NDArray[np.float64], rng: np.random.Generator
                 ) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Rectangles (centre, half) of a footprint shape that fills the box ``size``."""
    half = size / 2
    if shape == 'rectangle':
        return [(np.zeros(2), half)]
    depth = float(rng.uniform(0.4, 0.5)) * float(size[1])
    bar = (np.array([0.0, -half[1] + depth / 2]), np.array([half[0], depth / 2]))
    wing = float(rng.uniform(0.35, 0.45)) * float(size[0]) * (0.75 if shape == 'U' else 1.0)
    sides = (-1, 1) if shape == 'U' else (int(rng.choice([-1, 1])),)
    wings = [(np.array([side * (half[0] - wing / 2), 0.0]), np.array([wing / 2, half[1]])) for side in sides]
    return [bar, *wings]
