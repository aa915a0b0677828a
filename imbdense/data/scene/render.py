"""One camera view: exact labels and depth, and an RGB image with the faults of a real sensor."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene.camera import Camera
from imbdense.data.scene.classes import VOID
from imbdense.data.scene.config import RenderConfig, SceneConfig
from imbdense.data.scene.ground import MATERIAL_CLASS
from imbdense.data.scene.raycast import NO_HIT, Hits, RayCaster
from imbdense.data.scene.rng import stream
from imbdense.data.scene.shade import Light, shade
from imbdense.data.scene.world import World

_SUBPIXELS = ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75))
_GAMMA_STEPS = 16384


@dataclass(frozen=True)
class View:
    """``rgb`` uint8 (H, W, 3); ``semantic`` uint8 (H, W) raw class ids, 255 where nothing was met; ``instance`` uint16
    (H, W), 0 = none; ``depth`` float32 (H, W) along the optical axis in m, 0 where nothing was met."""

    rgb: NDArray[np.uint8]
    semantic: NDArray[np.uint8]
    instance: NDArray[np.uint16]
    depth: NDArray[np.float32]


def labels(world: World, hits: Hits) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Return raw class (N,) and instance (N,) of hit points; ground gets the class of its material."""
    met = hits.face != NO_HIT
    face = np.where(met, hits.face, np.uint32(0))
    semantic = world.semantic[face]
    ground = face < world.terrain_faces
    semantic[ground] = MATERIAL_CLASS[world.ground.material_at(hits.point[ground, 0], hits.point[ground, 1])]
    semantic[~met] = VOID
    return semantic, np.where(met, world.instance[face], np.uint16(0))


def render_view(config: SceneConfig, world: World, caster: RayCaster, light: Light, camera: Camera) -> View:
    """Render one exposure. Masks use the ray through the pixel centre (no anti-aliasing); all noise comes from the
    image's own random stream, so a view does not depend on which process renders it or on what was rendered before."""
    render = config.render
    shape = (camera.height, camera.width)
    origin, directions = camera.rays()
    hits = caster.cast(origin, directions)
    semantic, instance = labels(world, hits)
    if render.supersample == 1:
        radiance = shade(world, caster, hits, light, render.texture, render.haze_distance)
    else:
        radiance = np.zeros((len(directions), 3), np.float32)
        for shift in _SUBPIXELS:
            extra = caster.cast(*camera.rays(1.0, shift))
            radiance += 0.25 * shade(world, caster, extra, light, render.texture, render.haze_distance)
    rgb = expose(radiance.reshape(*shape, 3), render, stream(config.seed, 'image', camera.number))
    depth = np.where(hits.face == NO_HIT, np.float32(0), hits.depth)
    return View(rgb, semantic.reshape(shape), instance.reshape(shape), depth.reshape(shape))


def expose(radiance: NDArray[np.float32], render: RenderConfig, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the 8-bit image of linear ``radiance`` (H, W, B).

    Exposure gain, vignette ``1 - v (r/r_max)²``, shot noise ``σ = s √I``, read noise, clipping, gamma 2.2.
    """
    height, width = radiance.shape[:2]
    gain = np.float32(rng.uniform(*render.exposure))
    image = radiance * (gain * _vignette(height, width, render.vignette)[..., None])
    sigma = np.sqrt(np.float32(render.shot_noise**2) * np.maximum(image, 0) + np.float32(render.read_noise**2))
    image += sigma * rng.standard_normal(image.shape, dtype=np.float32)
    return encode(image)


def encode(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Linear [0, 1] → 8 bit with gamma 2.2; values outside are clipped."""
    index = (np.clip(image, 0, 1) * np.float32(_GAMMA_STEPS - 1)).astype(np.uint16)
    return _gamma_table()[index]


@functools.lru_cache(maxsize=1)
def _gamma_table() -> NDArray[np.uint8]:
    """Gamma 2.2 as a table: a power per pixel would cost more than the rest of the sensor."""
    return np.rint(255 * (np.arange(_GAMMA_STEPS) / (_GAMMA_STEPS - 1)) ** (1 / 2.2)).astype(np.uint8)


@functools.lru_cache(maxsize=4)
def _vignette(height: int, width: int, strength: float) -> NDArray[np.float32]:
    """Brightness factor (H, W)."""
    y = (np.arange(height) + 0.5 - height / 2)[:, None]
    x = (np.arange(width) + 0.5 - width / 2)[None, :]
    return (1 - strength * (x * x + y * y) / (height**2 / 4 + width**2 / 4)).astype(np.float32)
