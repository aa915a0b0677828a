"""The ground plan as rasters: materials (what bare ground shows and counts as) and zones (what may stand there)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene import classes, polygon
from imbdense.data.scene.config import SceneConfig
from imbdense.data.scene.layout import SIDEWALK, Layout, Lot, Road
from imbdense.data.scene.noise import sample_tile, spectral_fbm, value_noise_tile
from imbdense.data.scene.rng import stream

GRASS, DIRT, ASPHALT, MARKING, PAVEMENT, CONCRETE, BARE_GRASS, BARE_DIRT = range(8)
MATERIAL_CLASS = np.array([classes.GRASS, classes.DIRT, classes.ROAD, classes.ROAD, classes.GROUND, classes.ROAD,
                           classes.GROUND, classes.GROUND], np.uint8)
"""Raw class of each ground material; the two BARE materials look like grass and dirt but carry no material label."""
_COLORS = np.array([(0.28, 0.40, 0.17), (0.45, 0.36, 0.26), (0.18, 0.18, 0.18), (0.75, 0.75, 0.70), (0.46, 0.45, 0.43),
                    (0.40, 0.40, 0.38), (0.28, 0.40, 0.17), (0.45, 0.36, 0.26)], np.float32)
OPEN, STREET, WALK, BUILT, APRON = range(5)
"""Zone codes: open ground, carriageway, pavement, building, apron or parking."""


@dataclass(frozen=True)
class GroundPlan:
    """Rasters over [low, high]² m, row 0 in the north.

    ``material`` uint8 at ``cell`` m; ``zone`` uint8 at ``zone_cell`` m; ``colors`` float32 (8, 3) of this scene.
    """

    low: float
    high: float
    cell: float
    material: NDArray[np.uint8]
    zone_cell: float
    zone: NDArray[np.uint8]
    colors: NDArray[np.float32]

    def material_at(self, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the material code at scene coordinates (equal shapes); outside points take the border's."""
        return _lookup(self.material, self.low, self.high, self.cell, x, y)

    def zone_at(self, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the zone code at scene coordinates (equal shapes)."""
        return _lookup(self.zone, self.low, self.high, self.zone_cell, x, y)

    def albedo(self, material: NDArray[np.uint8], x: NDArray[np.float32], y: NDArray[np.float32],
               amplitude: float) -> NDArray[np.float32]:
        """Return the textured albedo (N, 3) of ground points: fine grain plus metre-sized patches."""
        fine = sample_tile(value_noise_tile(1), x, y, 0.07)
        coarse = sample_tile(value_noise_tile(2, 64), x, y, 0.5)
        gain = 1 + np.float32(amplitude) * (fine + coarse)
        color = self.colors[material] * gain[:, None]
        green = (material == GRASS) | (material == BARE_GRASS)
        dryness = np.where(green, coarse * np.float32(0.5 * amplitude), np.float32(0))
        color[:, 0] += dryness  # dry patches of a lawn turn yellow, not only dark
        return np.maximum(color, 0.01)


def make_ground(config: SceneConfig, layout: Layout, margin: float) -> GroundPlan:
    """Draw ``layout`` into material (0.1 m) and zone (0.25 m) rasters that reach ``margin`` m beyond the scene."""
    rng = stream(config.seed, 'ground')
    low, high = -margin, config.size + margin
    cell = 0.1 if high - low <= 400 else (high - low) / 4000
    count = int(np.ceil((high - low) / cell))
    base = _open_ground(rng, count, cell, config.terrain.dirt_share)
    canvas = _Canvas(base, low, high, cell)
    for number, lot in enumerate(layout.lots):
        _draw_lot(canvas, lot, stream(config.seed, 'lot', number), config.terrain.unlabelled_ground, layout.roads)
    _draw_roads(canvas, layout.roads)
    zone_cell = 0.25
    zone = _Canvas(np.zeros((int(np.ceil((high - low) / zone_cell)),) * 2, np.uint8), low, high, zone_cell)
    for lot in layout.lots:
        if lot.use in ('parking', 'apron'):
            zone.fill(polygon.rectangle(lot.center, lot.half - 0.5, lot.angle), APRON)
    for extra, code in ((2 * SIDEWALK, WALK), (0.0, STREET)):
        for road in layout.roads:
            zone.line(road.points, road.width + extra, code)
    for plan in layout.buildings:
        for outline in _outlines(plan.parts, plan.footprint):
            zone.fill(outline, BUILT)
            zone.line(np.vstack([outline, outline[:1]]), 1.2, BUILT)
    colors = _COLORS * (1 + 0.06 * rng.standard_normal((len(_COLORS), 1))).astype(np.float32)
    colors[ASPHALT] = np.clip(0.18 + 0.04 * rng.standard_normal(), 0.1, 0.28)
    colors[[BARE_GRASS, BARE_DIRT]] = colors[[GRASS, DIRT]]
    return GroundPlan(low, high, cell, canvas.array(), zone_cell, zone.array(), colors)


def _outlines(parts: Any, footprint: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Rectangles of a composed building, or its general footprint."""
    return [polygon.rectangle(*part) for part in parts] if parts else [footprint]


def _open_ground(rng: np.random.Generator, count: int, cell: float, dirt_share: float) -> NDArray[np.uint8]:
    """Grass with dirt where a smooth noise is above its (1 - dirt_share) quantile."""
    coarse = spectral_fbm(max(int(count * cell / 0.5), 8), 0.8, rng, cutoff=0.03)
    threshold = np.quantile(coarse, 1 - dirt_share) if dirt_share > 0 else np.inf
    index = np.minimum((np.arange(count) * len(coarse)) // count, len(coarse) - 1)
    jitter = np.rint(value_noise_tile(3, 128)[:64, :64] * 1.2).astype(np.int64)  # frays the 0.5 m steps of the edge
    tiles = -(-count // 64)
    shake = np.tile(jitter, (tiles, tiles))[:count, :count]
    rows = np.clip(index[:, None] + shake, 0, len(coarse) - 1)
    columns = np.clip(index[None, :] + shake.T, 0, len(coarse) - 1)
    return (coarse[rows, columns] > threshold).astype(np.uint8)


def _draw_lot(canvas: _Canvas, lot: Lot, rng: np.random.Generator, unlabelled: float, roads: tuple[Road, ...]) -> None:
    """Parking, apron, driveway, or ground without a material label."""
    bare = float(rng.uniform()) < unlabelled
    if lot.use == 'parking':
        canvas.fill(polygon.rectangle(lot.center, lot.half - 0.5, lot.angle), ASPHALT)
        _parking_lines(canvas, lot)
    elif lot.use == 'apron':
        canvas.fill(polygon.rectangle(lot.center, lot.half - 0.5, lot.angle), CONCRETE)
    elif bare:
        canvas.relabel(polygon.rectangle(lot.center, lot.half, lot.angle), {GRASS: BARE_GRASS, DIRT: BARE_DIRT})
    if lot.use == 'house' and roads:
        start = lot.center + (lot.half * rng.uniform(-0.6, 0.6, 2)) @ _turn(lot.angle)
        canvas.line(np.stack([start, _nearest_on_roads(start, roads)]), float(rng.uniform(2.6, 3.4)), PAVEMENT)


def _turn(angle: float) -> NDArray[np.float64]:
    """Row-vector rotation matrix."""
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _parking_lines(canvas: _Canvas, lot: Lot) -> None:
    """White lines every 2.6 m along both long sides."""
    long, short = lot.half - 1.0
    for position in np.arange(-long + 1.3, long - 1.0, 2.6):
        for side in (-1.0, 1.0):
            ends = np.array([[position, side * short], [position, side * max(short - 5.0, 0.3)]])
            canvas.line(ends @ _turn(lot.angle) + lot.center, 0.14, MARKING)


def _nearest_on_roads(point: NDArray[np.float64], roads: tuple[Road, ...]) -> NDArray[np.float64]:
    """Closest centre-line point."""
    best, distance = point, np.inf
    for road in roads:
        for start, end in pairwise(road.points):
            edge = end - start
            place = start + edge * np.clip(np.dot(point - start, edge) / max(float(np.dot(edge, edge)), 1e-9), 0, 1)
            if float(np.linalg.norm(place - point)) < distance:
                best, distance = place, float(np.linalg.norm(place - point))
    return best


def _draw_roads(canvas: _Canvas, roads: tuple[Road, ...]) -> None:
    """Pavements first, then carriageways, so that crossings stay open; dashed centre lines last."""
    for extra, code in ((2 * SIDEWALK, PAVEMENT), (0.0, ASPHALT)):
        for road in roads:
            canvas.line(road.points, road.width + extra, code)
    for road in roads:
        for start, end in pairwise(road.points):
            length = float(np.linalg.norm(end - start))
            if road.width >= 6 and length > 0:
                step = (end - start) / length
                for position in np.arange(1.0, length - 1.5, 4.0):
                    dash = np.stack([start + step * position, start + step * (position + 1.5)])
                    canvas.line(dash, 0.15, MARKING)


class _Canvas:
    """A uint8 raster in scene coordinates that draws with Pillow."""

    def __init__(self, base: NDArray[np.uint8], low: float, high: float, cell: float) -> None:
        from PIL import Image, ImageDraw

        self.image = Image.fromarray(base, 'L') if base.size else Image.new('L', (1, 1))
        self.draw = ImageDraw.Draw(self.image)
        self.low, self.high, self.cell = low, high, cell

    def fill(self, outline: NDArray[np.float64], code: int) -> None:
        """Fill a polygon."""
        self.draw.polygon(self._pixels(outline), fill=code)

    def line(self, points: NDArray[np.float64], width: float, code: int) -> None:
        """Draw a polyline of metric width, one rectangle per piece with discs at the inner corners."""
        for start, end in pairwise(points):
            length = float(np.linalg.norm(end - start))
            if length > 0:
                normal = np.array([start[1] - end[1], end[0] - start[0]]) / length * width / 2
                self.fill(np.stack([start + normal, end + normal, end - normal, start - normal]), code)
        for corner in points[1:-1]:
            angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
            self.fill(corner + width / 2 * np.stack([np.cos(angle), np.sin(angle)], 1), code)

    def relabel(self, outline: NDArray[np.float64], table: dict[int, int]) -> None:
        """Replace codes by others inside a polygon."""
        from PIL import Image, ImageDraw

        inside = Image.new('1', self.image.size)
        ImageDraw.Draw(inside).polygon(self._pixels(outline), fill=1)
        lut = [table.get(code, code) for code in range(256)]
        self.image.paste(self.image.point(lut), mask=inside)

    def array(self) -> NDArray[np.uint8]:
        """Return a copy of the raster."""
        return np.array(self.image, np.uint8)

    def _pixels(self, outline: NDArray[np.float64]) -> list[tuple[float, float]]:
        """Scene → pixel coordinates."""
        columns = (outline[:, 0] - self.low) / self.cell - 0.5
        rows = (self.high - outline[:, 1]) / self.cell - 0.5
        return [(float(column), float(row)) for column, row in zip(columns, rows)]


def _lookup(raster: NDArray[np.uint8], low: float, high: float, cell: float, x: NDArray[Any],
            y: NDArray[Any]) -> NDArray[np.uint8]:
    """Nearest pixel with clamped borders."""
    rows, columns = raster.shape
    column = np.minimum(np.maximum(((x - low) / cell).astype(np.int32), 0), columns - 1)
    row = np.minimum(np.maximum(((high - y) / cell).astype(np.int32), 0), rows - 1)
    return raster[row, column]
