from __future__ import annotations

import numpy as np
import pytest

from imbdense.data.scene.config import FlightConfig, SceneConfig
from imbdense.data.scene.flight import footprint, ground_margin, ground_sampling_distance, plan_flight
from imbdense.data.scene.terrain import Terrain

FLAT = Terrain(-200.0, 1.0, np.zeros((600, 600)))


def test_footprint_hand_example() -> None:
    flight = FlightConfig(agl=60, fov_x=90, width=400, height=300)
    assert footprint(flight) == pytest.approx((120, 90))
    assert ground_sampling_distance(flight) == pytest.approx(0.3)


def test_the_specified_scene_has_216_images() -> None:
    config = SceneConfig(size=120, flight=FlightConfig(width=512, height=384))
    assert len(plan_flight(config, FLAT)) == 216


@pytest.mark.parametrize('pattern', ['nadir', 'crosshatch', 'oblique', 'tiny'])
def test_views_cover_the_scene_and_stay_on_the_ground_that_exists(pattern: str) -> None:
    config = SceneConfig(size=90, flight=FlightConfig(pattern=pattern, overlap_forward=0.5, overlap_side=0.5))
    cameras = plan_flight(config, FLAT)
    margin = ground_margin(config.flight)
    corners = []
    for camera in cameras:
        rays = camera.directions(4 / camera.width)[[0, 0, -1, -1], [0, -1, 0, -1]] @ camera.c2w[:3, :3].T
        assert np.allclose(np.linalg.det(camera.c2w[:3, :3]), 1)
        hits = camera.c2w[:3, 3] - rays * (camera.c2w[2, 3] / rays[:, 2:])
        corners.append(hits[:, :2])
    points = np.concatenate(corners)
    assert points.min() > -margin and points.max() < 90 + margin
    assert points.min() < 10 and points.max() > 80


def test_scene_smaller_than_a_footprint_gets_one_strip() -> None:
    config = SceneConfig(size=20, flight=FlightConfig(pattern='nadir', agl=100, overlap_side=0.0, overlap_forward=0.0))
    assert len(plan_flight(config, FLAT)) == 1


def test_oblique_cameras_aim_into_the_scene_with_the_stated_tilt() -> None:
    flight = FlightConfig(pattern='oblique', gps_sigma=0, attitude_sigma=0, overlap_forward=0.3, overlap_side=0.3)
    for camera in plan_flight(SceneConfig(size=100, flight=flight), FLAT):
        axis = camera.c2w[:3, 2]
        assert np.degrees(np.arccos(-axis[2])) == pytest.approx(camera.tilt, abs=1e-6)
        aim = camera.c2w[:3, 3] - axis * (camera.c2w[2, 3] / axis[2])
        assert np.all(aim[:2] > 0) and np.all(aim[:2] < 100)


def test_height_is_above_the_local_ground() -> None:
    slope = Terrain(-200.0, 1.0, np.tile(np.arange(600) * 0.1, (600, 1)))
    flight = FlightConfig(pattern='nadir', gps_sigma=0, attitude_sigma=0)
    for camera in plan_flight(SceneConfig(size=60, flight=flight), slope):
        x, y, z = camera.c2w[:3, 3]
        assert z - float(slope.height_at(x, y)) == pytest.approx(flight.agl)
