from __future__ import annotations

import numpy as np
import pytest

from imbdense.data.scene import classes as c
from imbdense.data.scene.collision import CollisionIndex
from imbdense.data.scene.pairs.edits import Edit, draw_edits
from imbdense.data.scene.placement import SceneObject
from imbdense.data.scene.world import Building, WorldBuilder
from tests.data.scene.pairs.conftest import small_pair

COUNTS = {c.HIGH_VEG: 6, c.LOW_VEG: 6, c.VEHICLE: 4, c.CLUTTER: 6}


@pytest.fixture(scope='module')
def builder() -> WorldBuilder:
    pytest.importorskip('open3d')
    return WorldBuilder(small_pair().scene)


@pytest.fixture(scope='module')
def objects(builder: WorldBuilder) -> list[SceneObject]:
    return builder.placer.place(COUNTS)


def test_every_object_is_fixed_or_in_one_edit(builder: WorldBuilder, objects: list[SceneObject]) -> None:
    fixed, edits = draw_edits(builder, objects, ('building', 'land_cover', 'vegetation', 'object'))
    edited = [item for edit in edits for item in edit.before if isinstance(item, SceneObject)]
    kept = [item for item in fixed if isinstance(item, SceneObject)]
    assert len(edited) + len(kept) == len(objects)
    assert {(item.class_id, item.number) for item in [*edited, *kept]} == {
        (item.class_id, item.number) for item in objects}
    buildings = [edit for edit in edits if edit.kind == 'building']
    assert len(buildings) == len(builder.buildings) and all(edit.otherwise for edit in buildings)


def test_kinds_that_are_not_asked_for_stay_as_they_are(builder: WorldBuilder, objects: list[SceneObject]) -> None:
    fixed, edits = draw_edits(builder, objects, ('land_cover',))
    assert {edit.kind for edit in edits} == {'land_cover'}
    assert sum(isinstance(item, SceneObject) for item in fixed) == len(objects)
    assert sum(isinstance(item, Building) for item in fixed) == len(builder.buildings)


def test_added_objects_collide_with_nothing(builder: WorldBuilder, objects: list[SceneObject]) -> None:
    added = builder.placer.extend(objects, COUNTS)
    assert added and not {(item.class_id, item.number) for item in added} & {
        (item.class_id, item.number) for item in objects}
    index = CollisionIndex()
    for item in objects:
        if item.class_id == c.VEHICLE:
            index.add(item.x, item.y, item.asset.half, item.yaw)
    for item in added:
        if item.class_id == c.VEHICLE:
            assert index.is_free(item.x, item.y, item.asset.half, item.yaw)
            index.add(item.x, item.y, item.asset.half, item.yaw)


def test_grown_plants_are_larger_and_change_class_by_height(builder: WorldBuilder) -> None:
    grown = [edit for edit in draw_edits(builder, builder.placer.place({c.LOW_VEG: 60, c.HIGH_VEG: 20}),
                                         ('vegetation',))[1] if edit.operation == 'grow']
    assert grown
    for edit in grown:
        before, after = edit.before[0], edit.after[0]
        assert isinstance(before, SceneObject) and isinstance(after, SceneObject)
        assert 1.2 <= after.asset.height / before.asset.height <= 1.7
        wanted = c.LOW_VEG if after.asset.height <= 2 else c.MEDIUM_VEG if after.asset.height <= 5 else c.HIGH_VEG
        assert after.class_id == wanted and (before.x, before.y) == (after.x, after.y)


def test_a_replacing_building_stays_inside_the_old_footprint(builder: WorldBuilder) -> None:
    replaced: list[Edit] = []
    for seed in range(3):
        other = WorldBuilder(small_pair(scene={'seed': seed, 'size': 64.0}).scene)
        replaced += [edit for edit in draw_edits(other, [], ('building',))[1] if edit.operation == 'replace']
    assert replaced
    for edit in replaced:
        before, after = edit.before[0], edit.after[0]
        assert isinstance(before, Building) and isinstance(after, Building)
        center = before.plan.footprint.mean(axis=0)
        reach = np.abs(before.plan.footprint - center).max(axis=0)
        assert bool(np.all(np.abs(after.plan.footprint - center) <= reach * 0.86))
