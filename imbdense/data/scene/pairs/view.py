"""What the vertical camera sees of one date: image, land cover, instances, surface."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene.camera import OrthoCamera
from imbdense.data.scene.pairs.appearance import draw_appearance, radiance, seasonal
from imbdense.data.scene.pairs.config import PairConfig
from imbdense.data.scene.pairs.solve import Epoch, land_cover
from imbdense.data.scene.render import expose
from imbdense.data.scene.rng import stream


@dataclass(frozen=True)
class DateView:
    """``image`` uint8 (H, W, 4) R, G, B, NIR; ``label`` uint8 (H, W) training ids, 255 unknown; ``surface`` float32
    (H, W) height in m."""

    image: NDArray[np.uint8]
    label: NDArray[np.uint8]
    surface: NDArray[np.float32]


def render_date(config: PairConfig, epoch: Epoch, date: int, top: float) -> DateView:
    """Render date 0 or 1. Label and surface come from the grid of the scene; the image of date 1 from the grid moved by
    ``misregistration`` pixels, so that nothing is interpolated. Sensor noise comes from the date's own stream."""
    size, count = config.scene.size, config.count
    camera = OrthoCamera(size, count, top)
    label, _, point = land_cover(config, epoch, camera)
    look = draw_appearance(config, date)
    world = seasonal(epoch.world, look.turned, config.scene.seed)
    if date == 1:
        camera = dataclasses.replace(camera, offset=shift_of(config))
    hits = epoch.caster.cast(*camera.rays())
    seen = radiance(world, epoch.caster, hits, look, config.scene.render.texture)
    flat = dataclasses.replace(config.scene.render, vignette=0.0)
    image = expose(seen.reshape(count, count, 4), flat, stream(config.scene.seed, 'date_image', date))
    return DateView(image, label.reshape(count, count), point[:, 2].reshape(count, count).astype(np.float32))


def shift_of(config: PairConfig) -> tuple[float, float]:
    """Return the (east, north) shift in m of the second image: ``misregistration`` pixels in a direction drawn once per
    scene, the same for every length."""
    angle = float(stream(config.scene.seed, 'misregistration').uniform(0, 2 * math.pi))
    length = config.misregistration * config.scene.size / config.count
    return length * math.cos(angle), length * math.sin(angle)
