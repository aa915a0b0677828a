from __future__ import annotations

import numpy as np
import pytest

from imbdense.data.scene import classes as c
from imbdense.data.scene.config import RenderConfig
from imbdense.data.scene.flight import plan_flight
from imbdense.data.scene.render import View, encode, expose, render_view
from imbdense.data.scene.shade import make_light
from imbdense.data.scene.world import WorldBuilder
from tests.data.scene.conftest import tiny

pytest.importorskip('open3d')
COUNTS = {c.VEHICLE: 4, c.HIGH_VEG: 6, c.MEDIUM_VEG: 4, c.BIKE: 3}


def view(counts: dict[int, int] | None = None, number: int = 0, **parts: object) -> View:
    from imbdense.data.scene.raycast import RayCaster

    config = tiny(**parts)
    builder = WorldBuilder(config)
    world, _ = builder.build(COUNTS if counts is None else counts)
    camera = plan_flight(config, builder.terrain)[number]
    return render_view(config, world, RayCaster(world), make_light(config), camera)


def test_gamma_hand_values_and_clipping() -> None:
    image = encode(np.array([[[0.0, 1.0, 0.5], [-1.0, 2.0, 0.18]]], np.float32))
    assert image[0, 0].tolist() == [0, 255, 186] and image[0, 1, :2].tolist() == [0, 255]
    assert abs(int(image[0, 1, 2]) - 117) <= 1


def test_noise_and_vignette() -> None:
    flat = np.full((64, 64, 3), 0.4, np.float32)
    silent = RenderConfig(shot_noise=0.0, read_noise=0.0, exposure=(1.0, 1.0))
    image = expose(flat.copy(), silent, np.random.default_rng(0)).astype(float)
    assert image[32, 32, 0] > image[0, 0, 0] + 10
    noisy = RenderConfig(vignette=0.0, exposure=(1.0, 1.0), shot_noise=0.05)
    image = expose(flat.copy(), noisy, np.random.default_rng(0)).astype(float)
    assert np.std(image) == pytest.approx(0.05 * np.sqrt(0.4) * 255 / 2.2 * 0.4 ** (1 / 2.2 - 1), rel=0.1)


def test_shadows_fall_away_from_the_sun() -> None:
    low = {'sun_elevation': 30.0, 'ambient': 0.2, 'vignette': 0.0}
    east, west = (view(render=low | {'sun_azimuth': azimuth}) for azimuth in (90.0, 270.0))
    lit = view(render=low | {'sun_azimuth': 90.0, 'ambient': 1.0})
    assert np.array_equal(east.semantic, west.semantic)
    grass = np.isin(east.semantic, (c.GRASS, c.ROAD))
    assert (east.rgb[grass].mean(axis=1) < 0.6 * lit.rgb[grass].mean(axis=1)).mean() > 0.02
    assert np.abs(east.rgb[grass].astype(int) - west.rgb[grass]).mean() > 2


def test_light_and_noise_never_touch_labels_and_objects_never_touch_noise() -> None:
    plain, other = view(), view(render={'sun_azimuth': 10.0, 'shot_noise': 0.1, 'texture': 0.2})
    assert np.array_equal(plain.semantic, other.semantic) and np.array_equal(plain.depth, other.depth)
    fewer = view({c.VEHICLE: 4})
    same = (plain.depth == fewer.depth) & np.isin(plain.semantic, (c.GRASS, c.ROAD))
    lit = (plain.rgb == fewer.rgb).all(axis=2)[same]
    assert lit.mean() > 0.7  # where no tree casts its shadow


def test_supersampling_keeps_the_masks_and_smooths_the_image() -> None:
    sensor = {'shot_noise': 0.0, 'read_noise': 0.0}
    one, two = view(render=sensor), view(render=sensor | {'supersample': 2})
    assert np.array_equal(one.semantic, two.semantic)
    rough = [np.abs(np.diff(v.rgb.astype(int), axis=1)).mean() for v in (one, two)]
    assert rough[1] < 0.95 * rough[0]


def test_occlusion_dial_hides_small_objects() -> None:
    counts = {c.VEHICLE: 12, c.BIKE: 6, c.HIGH_VEG: 14}
    parts = {'size': 60, 'flight': {'pattern': 'nadir'}}

    def small_pixels(occlusion: float, with_trees: bool) -> float:
        wanted = counts if with_trees else {k: v for k, v in counts.items() if k != c.HIGH_VEG}
        seen = [view(wanted, number, mix={'occlusion': occlusion}, **parts).semantic for number in range(2)]
        return float(np.isin(seen, (c.VEHICLE, c.BIKE)).sum())

    visible = [small_pixels(occlusion, True) / small_pixels(occlusion, False) for occlusion in (0.0, 1.0)]
    assert visible[0] > 0.85 and visible[1] < visible[0] - 0.1
