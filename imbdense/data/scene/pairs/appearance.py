"""How a date looks: sun, gain of each band, and how far leaves and grass have turned; a near-infrared band."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene import ground as g
from imbdense.data.scene.mesh import FOLIAGE
from imbdense.data.scene.pairs.config import PairConfig
from imbdense.data.scene.raycast import NO_HIT, Hits, RayCaster
from imbdense.data.scene.rng import stream
from imbdense.data.scene.shade import AMBIENT_TINT, SUN_TINT, Light, albedo, make_light, sunlight
from imbdense.data.scene.world import World

_AUTUMN = np.array([0.36, 0.24, 0.08], np.float32)
_STRAW = np.array([0.44, 0.38, 0.20], np.float32)
_SUN_TINTS = np.append(SUN_TINT, np.float32(0.92))
_AMBIENT_TINTS = np.append(AMBIENT_TINT, np.float32(0.55))
"""Sun and sky per band R, G, B, NIR: the sky sends little near infrared, so shadows are darker there."""
_LEAF_NIR, _GRASS_NIR, _SOIL_NIR, _OTHER_NIR = (2.3, 1.6), (1.6, 1.1), (1.12, 1.12), (1.05, 1.05)
"""Near-infrared albedo over the mean of R, G, B: in summer, and fully turned. Green leaves reflect most of it."""


@dataclass(frozen=True)
class Appearance:
    """``light``; ``turned`` in [0, 1], 0 = summer; ``gain`` float32 (4,) of R, G, B, NIR."""

    light: Light
    turned: float
    gain: NDArray[np.float32]


def draw_appearance(config: PairConfig, date: int) -> Appearance:
    """Return the look of date 0 (the scene's own light, summer) or 1.

    With ``i = illumination`` the second sun is turned by up to ±90°·i and raised or lowered by up to 20°·i, the ambient
    share moves by up to .1·i and every band's gain by a log-normal factor of deviation .12·i; with ``s = season`` the
    plants turn by U(.5, 1)·s.
    """
    light = make_light(config.scene)
    if date == 0:
        return Appearance(light, 0.0, np.ones(4, np.float32))
    rng = stream(config.scene.seed, 'second_date')
    draws, normal = rng.uniform(-1, 1, 3), rng.standard_normal(4)
    strength = config.illumination
    azimuth = math.atan2(float(light.sun[0]), float(light.sun[1])) + math.radians(90) * strength * draws[0]
    elevation = math.degrees(math.asin(float(light.sun[2]))) + 20 * strength * draws[1]
    e = math.radians(min(max(elevation, 20.0), 80.0))
    sun = np.array([math.sin(azimuth) * math.cos(e), math.cos(azimuth) * math.cos(e), math.sin(e)], np.float32)
    ambient = min(max(light.ambient + 0.1 * strength * float(draws[2]), 0.05), 0.95)
    gain = np.exp(0.12 * strength * normal).astype(np.float32)
    return Appearance(Light(sun, ambient), config.season * float(rng.uniform(0.5, 1)), gain)


def seasonal(world: World, turned: float, seed: int) -> World:
    """Return the world with leaves and grass turned by ``turned``, each plant by a factor U(.5, 1.5) of it."""
    if turned == 0:
        return world
    factor = stream(seed, 'turning').uniform(0.5, 1.5, 65536).astype(np.float32)
    weight = np.clip(turned * factor[world.instance], 0, 1)[:, None]
    leaves = world.texture == FOLIAGE
    color = np.where(leaves[:, None], (1 - weight) * world.color + weight * _AUTUMN, world.color)
    colors = world.ground.colors.copy()
    for material in (g.GRASS, g.BARE_GRASS):
        colors[material] = (1 - turned) * colors[material] + turned * _STRAW
    return dataclasses.replace(world, color=color.astype(np.float32),
                               ground=dataclasses.replace(world.ground, colors=colors.astype(np.float32)))


def radiance(world: World, caster: RayCaster, hits: Hits, look: Appearance, texture: float) -> NDArray[np.float32]:
    """Return linear radiance (N, 4) of R, G, B, NIR without haze; ``world`` is already :func:`seasonal`."""
    color, fine = albedo(world, hits, texture)
    bands = np.column_stack([color, color.mean(axis=1) * _near_infrared(world, hits, look.turned)])
    lambert = sunlight(world, caster, hits, look.light, fine)
    a = np.float32(look.light.ambient)
    return bands * (a * _AMBIENT_TINTS + ((1 - a) * lambert)[:, None] * _SUN_TINTS) * look.gain


def _near_infrared(world: World, hits: Hits, turned: float) -> NDArray[np.float32]:
    """Near-infrared albedo over visible albedo of each hit, float32 (N,)."""
    def between(pair: tuple[float, float]) -> float:
        return (1 - turned) * pair[0] + turned * pair[1]

    face = np.where(hits.face == NO_HIT, np.uint32(0), hits.face)
    ratio = np.where(world.texture[face] == FOLIAGE, between(_LEAF_NIR), between(_OTHER_NIR)).astype(np.float32)
    ground = face < world.terrain_faces
    table = np.full(256, between(_OTHER_NIR), np.float32)
    table[[g.GRASS, g.BARE_GRASS]] = between(_GRASS_NIR)
    table[[g.DIRT, g.BARE_DIRT]] = between(_SOIL_NIR)
    ratio[ground] = table[world.ground.material_at(hits.point[ground, 0], hits.point[ground, 1])]
    return ratio
