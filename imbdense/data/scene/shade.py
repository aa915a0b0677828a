"""Light on hit points: albedo with procedural texture, sun with shadows, ambient sky, haze."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene.config import SceneConfig
from imbdense.data.scene.mesh import FOLIAGE, ROUGH, SMOOTH, TILES
from imbdense.data.scene.noise import sample_tile, value_noise_tile
from imbdense.data.scene.raycast import NO_HIT, Hits, RayCaster
from imbdense.data.scene.rng import stream
from imbdense.data.scene.world import World

_SKY = np.array([0.62, 0.72, 0.85], np.float32)
SUN_TINT = np.array([1.04, 1.0, 0.93], np.float32)
AMBIENT_TINT = np.array([0.92, 1.0, 1.12], np.float32)
_SHADOW_BIAS = np.float32(1e-2)
_TILE_ROW = 0.3


@dataclass(frozen=True)
class Light:
    """``sun``: unit vector (3,) towards the sun; ``ambient``: share of light that needs no sun."""

    sun: NDArray[np.float32]
    ambient: float


def make_light(config: SceneConfig) -> Light:
    """Return the light of a scene: azimuth U(0, 360)° clockwise from north and elevation U(25, 70)° unless given."""
    rng = stream(config.seed, 'sun')
    azimuth, elevation = float(rng.uniform(0, 360)), float(rng.uniform(25, 70))
    azimuth = azimuth if config.render.sun_azimuth is None else config.render.sun_azimuth
    elevation = elevation if config.render.sun_elevation is None else config.render.sun_elevation
    a, e = math.radians(azimuth), math.radians(elevation)
    sun = np.array([math.sin(a) * math.cos(e), math.cos(a) * math.cos(e), math.sin(e)], np.float32)
    return Light(sun, config.render.ambient)


def albedo(world: World, hits: Hits, amplitude: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the textured albedo (N, 3) and the fine noise (N,) at the hit points; misses get face 0's values."""
    face = np.where(hits.face == NO_HIT, np.uint32(0), hits.face)
    x, y, z = hits.point.T
    u, v = x + np.float32(0.7) * z, y + np.float32(0.37) * z
    fine = sample_tile(value_noise_tile(5), u, v, 0.05)
    kind = world.texture[face]
    strength = np.array([0.2, 1.0, 2.2, 0.8], np.float32)[[SMOOTH, ROUGH, FOLIAGE, TILES]] * np.float32(amplitude)
    gain = 1 + strength[kind] * fine
    tiles = kind == TILES
    if tiles.any():
        rows = z[tiles] * np.float32(1 / _TILE_ROW)
        gain[tiles] += np.float32(0.16) * ((rows - np.floor(rows)) - np.float32(0.5))
    color = world.color[face] * np.maximum(gain, 0.15)[:, None]
    ground = face < world.terrain_faces
    if ground.any():
        material = world.ground.material_at(x[ground], y[ground])
        color[ground] = world.ground.albedo(material, x[ground], y[ground], amplitude)
    return color, fine


def shade(world: World, caster: RayCaster, hits: Hits, light: Light, amplitude: float, haze: float
          ) -> NDArray[np.float32]:
    """Return linear radiance (N, 3).

    ``albedo · (a + (1 - a) · max(0, n·l) · visible)``, visible by shadow rays from the hit + 1 cm along the normal,
    cast only where n·l > 0; then ``sky`` mixed in with ``1 - exp(-depth / haze)``. Rays without a hit see the sky.
    """
    color, fine = albedo(world, hits, amplitude)
    lambert = sunlight(world, caster, hits, light, fine)
    met = hits.face != NO_HIT
    a = np.float32(light.ambient)
    radiance = color * (a * AMBIENT_TINT + ((1 - a) * lambert)[:, None] * SUN_TINT)
    depth = np.where(met, hits.depth, np.float32(0))
    fog = 1 - np.exp(-depth * np.float32(1 / haze))
    radiance += fog[:, None] * (_SKY - radiance)
    radiance[~met] = _SKY
    return radiance


def sunlight(world: World, caster: RayCaster, hits: Hits, light: Light, fine: NDArray[np.float32]
             ) -> NDArray[np.float32]:
    """Return ``max(0, n·l) · visible`` in [0, 1], float32 (N,): the share of direct sun each hit point gets.

    ``fine``: the noise :func:`albedo` returned, which makes the leaves of a crown differ.
    """
    met = hits.face != NO_HIT
    face = np.where(met, hits.face, np.uint32(0))
    lambert = hits.normal @ light.sun
    leaves = world.texture[face] == FOLIAGE
    # a leaf blob is not a smooth ball: its surface scatters light in all directions
    lambert[leaves] = np.float32(0.3) + np.float32(0.5) * lambert[leaves] + np.float32(0.18) * fine[leaves]
    lambert = np.where(met, np.clip(lambert, 0, 1), 0)
    lit = np.flatnonzero(lambert > 0)
    shadowed = caster.occluded(hits.point[lit] + _SHADOW_BIAS * hits.normal[lit], light.sun)
    lambert[lit[shadowed]] = 0
    return lambert
