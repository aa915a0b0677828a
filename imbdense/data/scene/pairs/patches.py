"""Patches of ground that turn into another material: soil laid bare, greened, or sealed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene import ground as g
from imbdense.data.scene.config import SceneConfig
from imbdense.data.scene.ground import GroundPlan
from imbdense.data.scene.rng import stream

_TABLES = {'clear': {g.GRASS: g.DIRT, g.BARE_GRASS: g.BARE_DIRT}, 'green': {g.DIRT: g.GRASS, g.BARE_DIRT: g.BARE_GRASS},
           'seal': dict.fromkeys((g.GRASS, g.DIRT, g.BARE_GRASS, g.BARE_DIRT), g.CONCRETE)}
_TRIES = 160
_RADII = (2.0, 10.0)


@dataclass(frozen=True)
class Patch:
    """An outline (N, 2) inside which ground materials turn into others; ``operation``: clear, green or seal."""

    operation: str
    outline: NDArray[np.float64]


def draw_patches(config: SceneConfig, ground: GroundPlan) -> list[Patch]:
    """Return ragged patches of 2–10 m radius (log-uniform) around open places, none touching another."""
    rng = stream(config.seed, 'patches')
    taken: list[tuple[float, float, float]] = []
    patches = []
    for _ in range(_TRIES):
        x, y = rng.uniform(0, config.size, 2)
        radius = float(np.exp(rng.uniform(*np.log(_RADII))))
        operation = str(rng.choice(list(_TABLES), p=[0.35, 0.3, 0.35]))
        ripple = rng.uniform(-0.12, 0.12, (3, 2))
        apart = all(np.hypot(x - other_x, y - other_y) > 1.3 * (radius + other) for other_x, other_y, other in taken)
        if not apart or int(ground.zone_at(np.array([x]), np.array([y]))[0]) != g.OPEN:
            continue
        angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        waves = sum(a * np.cos(k * angle) + b * np.sin(k * angle) for k, (a, b) in enumerate(ripple, start=2))
        spread = radius * (1 + waves)
        patches.append(Patch(operation, np.stack([x + spread * np.cos(angle), y + spread * np.sin(angle)], 1)))
        taken.append((float(x), float(y), radius))
    return patches


def patch_raster(ground: GroundPlan, patches: Sequence[Patch]) -> NDArray[np.int32]:
    """Return the patch number, from 1, on the grid of ``ground.material``; 0 = none; of two the later one counts."""
    from PIL import Image, ImageDraw

    image = Image.new('I', (ground.material.shape[1], ground.material.shape[0]))
    draw = ImageDraw.Draw(image)
    for number, patch in enumerate(patches, start=1):
        columns = (patch.outline[:, 0] - ground.low) / ground.cell - 0.5
        rows = (ground.high - patch.outline[:, 1]) / ground.cell - 0.5
        draw.polygon([(float(column), float(row)) for column, row in zip(columns, rows)], fill=number)
    return np.array(image, np.int32)


def patched_ground(ground: GroundPlan, patches: Sequence[Patch]) -> GroundPlan:
    """Return the ground with ``patches`` applied; zones (where objects may stand) do not change."""
    if not patches:
        return ground
    tables = np.tile(np.arange(256, dtype=np.uint8), (len(patches) + 1, 1))
    for number, patch in enumerate(patches, start=1):
        for before, after in _TABLES[patch.operation].items():
            tables[number, before] = after
    raster = patch_raster(ground, patches)
    inside = raster > 0
    material = ground.material.copy()
    material[inside] = tables[raster[inside], material[inside]]
    return dataclasses.replace(ground, material=material)
