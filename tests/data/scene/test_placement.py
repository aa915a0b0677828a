from __future__ import annotations

import numpy as np
import pytest

from imbdense.data.scene import classes as c
from imbdense.data.scene.collision import CollisionIndex
from imbdense.data.scene.config import SceneConfig
from imbdense.data.scene.ground import STREET
from imbdense.data.scene.world import WorldBuilder

COUNTS = {c.VEHICLE: 25, c.TRUCK: 4, c.BIKE: 12, c.MOTORCYCLE: 6, c.LIGHT_POLE: 10, c.STREET_SIGN: 6, c.FENCE: 8,
          c.HIGH_VEG: 20, c.MEDIUM_VEG: 15, c.LOW_VEG: 15, c.CLUTTER: 8, c.MILITARY: 1}


def corners(x: float, y: float, half: tuple[float, float], yaw: float) -> np.ndarray:
    u, v = np.meshgrid(np.linspace(-1, 1, 60), np.linspace(-1, 1, 60))
    local = np.stack([u.ravel() * half[0], v.ravel() * half[1]], 1)
    return local @ np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]]) + (x, y)


def test_separating_axis_against_dense_points() -> None:
    rng = np.random.default_rng(0)
    agree = 0
    for _ in range(300):
        x, y, yaw = rng.uniform(-4, 4), rng.uniform(-4, 4), rng.uniform(0, 6)
        half, other = tuple(rng.uniform(0.3, 3, 2)), tuple(rng.uniform(0.3, 3, 2))
        index = CollisionIndex()
        index.add(0.0, 0.0, other, 0.7)
        points = corners(x, y, half, yaw)
        local = np.abs(points @ np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]]))
        touches = bool(np.any(np.all(local < np.array(other), axis=1)))
        if touches:  # a sampled point inside proves an overlap
            assert not index.is_free(x, y, half, yaw)
        agree += touches != index.is_free(x, y, half, yaw)
    assert agree >= 295  # the samples may miss a sliver, never more


def test_index_grows_past_its_first_block() -> None:
    index = CollisionIndex()
    for k in range(600):
        index.add(3.0 * k, 0.0, (1.0, 1.0), 0.0)
    assert not index.is_free(3.0 * 599, 0.0, (0.1, 0.1), 0.0) and index.is_free(3.0 * 599 + 1.5, 0.0, (0.2, 0.2), 0.0)


@pytest.fixture(scope='module')
def builder() -> WorldBuilder:
    return WorldBuilder(SceneConfig(seed=4, size=100))


def test_objects_do_not_overlap_and_stand_where_they_may(builder: WorldBuilder) -> None:
    placed = builder.placer.place(COUNTS)
    numbers = np.bincount([item.class_id for item in placed], minlength=20)
    for class_id, wanted in COUNTS.items():
        assert numbers[class_id] >= 0.7 * wanted, c.CLASS_NAMES[class_id]
    solid = [item for item in placed if item.class_id in (c.VEHICLE, c.TRUCK, c.BIKE, c.CLUTTER, c.MILITARY)]
    for k, item in enumerate(solid):
        index = CollisionIndex()
        index.add(item.x, item.y, item.asset.half, item.yaw)
        for other in solid[k + 1:]:
            assert index.is_free(other.x, other.y, other.asset.half, other.yaw)
    on_street = [builder.ground.zone_at(np.array([item.x]), np.array([item.y]))[0] == STREET
                 for item in placed if item.class_id == c.VEHICLE]
    assert np.mean(on_street) > 0.6


def test_more_of_one_class_keeps_the_earlier_classes(builder: WorldBuilder) -> None:
    few, many = builder.placer.place(COUNTS), builder.placer.place(COUNTS | {c.LOW_VEG: 40})
    keep = [(item.class_id, item.number, item.x, item.y) for item in few if item.class_id != c.LOW_VEG]
    assert keep == [(item.class_id, item.number, item.x, item.y) for item in many if item.class_id != c.LOW_VEG]


def test_empty_counts_give_only_terrain_and_buildings(builder: WorldBuilder) -> None:
    world, objects = builder.build({})
    assert not objects and world.first_object == len(world.instances) == len(builder.layout.buildings)
    assert set(np.unique(world.semantic[world.terrain_faces:])) <= {c.BUILDING, c.WINDOWS}


def test_scene_without_streets_still_places_objects() -> None:
    config = SceneConfig(seed=1, size=40)
    builder = WorldBuilder(config)
    empty = type(builder.layout)((), (), ())
    from imbdense.data.scene.ground import make_ground
    from imbdense.data.scene.placement import Placer

    placer = Placer(config, empty, make_ground(config, empty, 10), builder.terrain)
    placed = placer.place({c.BIKE: 3, c.LIGHT_POLE: 2, c.FENCE: 1, c.HIGH_VEG: 2})
    assert len(placed) == 8
