"""Two dates of a scene as clouds: classes from the scene graph, the dial, registration, files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from imbdense.data.scene import classes as c
from imbdense.data.scene.cloud_pairs import CLOUD_PAIR_PRESETS, CloudPairManifest, CloudPairPlan, generate_cloud_pair
from imbdense.data.scene.cloud_pairs.config import (
    CHANGE_CLASSES,
    DEMOLITION,
    GROWTH,
    IGNORED,
    MISSING_VEGETATION,
    MOBILE,
    NEW_BUILDING,
    NEW_VEGETATION,
)
from imbdense.data.scene.cloud_pairs.dataset import generate_cloud_pairs
from imbdense.data.scene.cloud_pairs.edits import Earthwork, draw_changes, draw_earthworks, with_earthworks
from imbdense.data.scene.cloud_pairs.generate import draw_registration, finished_cloud_pair, moved
from imbdense.data.scene.cloud_pairs.labels import change_map
from imbdense.data.scene.clouds.fusion import Cloud
from imbdense.data.scene.dial import solve_mix
from imbdense.data.scene.flight import plan_flight
from imbdense.data.scene.pairs.edits import Edit
from imbdense.data.scene.pairs.solve import make_epochs
from imbdense.data.scene.placement import SceneObject
from imbdense.data.scene.world import WorldBuilder

pytest.importorskip('open3d')
TINY = CLOUD_PAIR_PRESETS['tiny'].pair.changed(cloud={'scene': {'seed': 5}})
Pair = tuple[Path, CloudPairManifest]


@pytest.fixture(scope='module')
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp('cloud_pairs') / 'pair'
    return folder, generate_cloud_pair(TINY, folder)


@pytest.fixture(scope='module')
def candidates() -> tuple[WorldBuilder, list[object], list[Edit]]:
    builder = WorldBuilder(TINY.cloud.scene)
    objects = solve_mix(TINY.cloud.scene, builder, plan_flight(TINY.cloud.scene, builder.terrain)).objects
    fixed, edits = draw_changes(builder, objects)
    return builder, list(fixed), edits


def test_both_dates_are_written_counted_and_kept(pair: Pair) -> None:
    folder, manifest = pair
    assert {path.name for path in folder.iterdir()} == {'epoch1.npz', 'epoch2.npz', 'edits.json', 'manifest.json',
                                                        'timing.json'}
    for number, stem in enumerate(('epoch1', 'epoch2')):
        arrays = np.load(folder / f'{stem}.npz')
        label = arrays['semantic']
        assert {'xyz', 'intensity', 'scene_class', 'instance'} <= set(arrays) and label.dtype == np.int8
        counts = np.bincount(label + 1, minlength=8).tolist()
        assert list(manifest.points[number].values()) == counts and sum(counts) == len(arrays['xyz'])
    made = json.loads((folder / 'edits.json').read_text())
    assert sum(item['points'] for item in made) == sum(manifest.points[1][name] for name in CHANGE_CLASSES[1:])
    assert finished_cloud_pair(folder, TINY) == manifest == generate_cloud_pair(TINY, folder)
    assert finished_cloud_pair(folder, TINY.changed(change_share=0.2)) is None


def test_classes_fit_what_stands_there(pair: Pair) -> None:
    folder, _ = pair
    ground = (c.GROUND, c.ROAD, c.DIRT, c.GRASS)
    plants, mobiles = (c.LOW_VEG, c.MEDIUM_VEG, c.HIGH_VEG), (5, 6, 7, 8, 9, 10, 13)
    second = np.load(folder / 'epoch2.npz')
    allowed = {NEW_BUILDING: (c.BUILDING, c.WINDOWS), DEMOLITION: ground, NEW_VEGETATION: plants, GROWTH: plants,
               MISSING_VEGETATION: ground, MOBILE: (*mobiles, *ground)}
    for label, names in allowed.items():
        seen = set(np.unique(second['scene_class'][second['semantic'] == label]).tolist())
        assert seen and seen <= set(names)
    first = np.load(folder / 'epoch1.npz')
    allowed = {DEMOLITION: (c.BUILDING, c.WINDOWS), GROWTH: plants, MISSING_VEGETATION: plants, MOBILE: mobiles}
    for label, names in allowed.items():
        assert set(np.unique(first['scene_class'][first['semantic'] == label]).tolist()) <= set(names)
    assert not np.isin(first['semantic'], (NEW_BUILDING, NEW_VEGETATION)).any()


def test_the_share_is_reached_and_the_dates_are_independent(pair: Pair) -> None:
    folder, manifest = pair
    assert manifest.change['share'] == pytest.approx(0.1, rel=TINY.tolerance)
    first, second = (np.load(folder / f'{stem}.npz')['xyz'] for stem in ('epoch1', 'epoch2'))
    assert not np.isin(first[:, 0], second[:, 0]).all()
    assert manifest.registration[0] != manifest.registration[1]


def cloud_at(xyz: NDArray[np.float64], semantic: int, instance: int) -> Cloud:
    count = len(xyz)
    return Cloud(xyz, np.full(count, semantic, np.uint8), np.full(count, instance, np.int32), {})


def test_ground_inside_the_old_footprint_is_demolition_and_beside_it_is_not(
        candidates: tuple[WorldBuilder, list[object], list[Edit]]) -> None:
    builder, fixed, edits = candidates
    number = next(k for k, edit in enumerate(edits) if edit.operation == 'demolish')
    chosen = np.arange(len(edits)) == number
    epochs = make_epochs(builder, fixed, edits, chosen)  # type: ignore[arg-type]
    changes = change_map({number: edits[number]}, (), builder.ground, builder.terrain)
    footprint = edits[number].before[0].plan.footprint  # type: ignore[union-attr]
    centre = footprint.mean(axis=0)
    inside = centre + 0.9 * (footprint - centre)
    outside = centre + 1.15 * (footprint - centre)
    for places, expected in ((inside, DEMOLITION), (outside, 0)):
        ground = cloud_at(np.column_stack([places, np.zeros(len(places))]), c.DIRT, -1)
        label, edit = changes.label(ground, epochs[1], 1)
        assert (label == expected).all() and (edit == (number if expected else -1)).all()
        assert (changes.label(ground, epochs[0], 0)[0] == 0).all()
    assert len(epochs[0].world.instances) == len(epochs[1].world.instances) + 1


def test_only_the_new_storeys_of_an_extended_building_are_new(
        candidates: tuple[WorldBuilder, list[object], list[Edit]]) -> None:
    builder, fixed, edits = candidates
    found = [k for k, edit in enumerate(edits) if edit.operation == 'extend']
    if not found:
        pytest.skip('this seed extends no building')
    number = found[0]
    epochs = make_epochs(builder, fixed, edits, np.arange(len(edits)) == number)  # type: ignore[arg-type]
    changes = change_map({number: edits[number]}, (), builder.ground, builder.terrain)
    plan = edits[number].before[0].plan  # type: ignore[union-attr]
    level = float(builder.terrain.height_at(*plan.footprint.mean(axis=0)))
    instance = int(np.flatnonzero(epochs[1].owner == number)[0])
    xyz = np.array([[1.0, 1, level + plan.height - 0.5], [1.0, 1, level + plan.height + 0.5]])
    assert changes.label(cloud_at(xyz, c.BUILDING, instance), epochs[1], 1)[0].tolist() == [0, NEW_BUILDING]


def test_grown_plants_are_1_2_to_2_times_as_high_and_moved_vehicles_keep_their_class(
        candidates: tuple[WorldBuilder, list[object], list[Edit]]) -> None:
    _, _, edits = candidates
    kinds = {edit.operation for edit in edits}
    assert {'grow', 'plant', 'remove', 'move'} <= kinds
    for edit in edits:
        if edit.operation in ('grow', 'move'):
            before, after = edit.before[0], edit.after[0]
            assert isinstance(before, SceneObject) and isinstance(after, SceneObject)
            if edit.operation == 'grow':
                assert 1.2 <= after.asset.height / before.asset.height <= 2.0
                assert (after.x, after.y) == (before.x, before.y)
            else:
                assert before.class_id == after.class_id and (after.x, after.y) != (before.x, before.y)


def test_earthworks_move_the_ground_only_and_their_points_are_ignored(
        candidates: tuple[WorldBuilder, list[object], list[Edit]]) -> None:
    builder, fixed, edits = candidates
    nothing = np.zeros(len(edits), bool)
    epoch = make_epochs(builder, fixed, edits, nothing)[1]  # type: ignore[arg-type]
    work = Earthwork(20.0, 20.0, 5.0, 1.5)
    changed = with_earthworks(epoch.world, [work])
    lift = changed.vertices[:, 2] - epoch.world.vertices[:, 2]
    ground = np.zeros(len(lift), bool)
    ground[np.unique(epoch.world.faces[: epoch.world.terrain_faces])] = True
    assert lift.max() == pytest.approx(1.5, abs=0.05) and (lift[~ground] == 0).all()
    assert (lift[np.hypot(*(epoch.world.vertices[:, :2] - 20).T) > 5] == 0).all()
    xyz = np.array([[21.0, 20, 1], [27.0, 20, 1]])
    changes = change_map({}, [work], builder.ground, builder.terrain)
    assert changes.label(cloud_at(xyz, c.GRASS, -1), epoch, 1)[0].tolist() == [IGNORED, 0]
    assert draw_earthworks(builder, [], 0) == []


def test_registration_is_rigid_small_and_fixed_by_the_seed() -> None:
    many = np.array([draw_registration(TINY.changed(cloud={'scene': {'seed': seed}}), 0) for seed in range(200)])
    assert many[:, :3].std() == pytest.approx(0.05, rel=0.15) and many[:, 3:].std() == pytest.approx(0.02, rel=0.15)
    assert np.array_equal(many[5], draw_registration(TINY, 0))
    xyz = np.random.default_rng(0).uniform(0, 48, (50, 3))
    turned = moved(xyz, np.array([0.1, 0, 0, 0, 0, 1.0]), 48.0)
    assert np.linalg.norm(turned[1:] - turned[0], axis=1) == pytest.approx(np.linalg.norm(xyz[1:] - xyz[0], axis=1),
                                                                          abs=3e-3)
    assert np.abs(moved(xyz, np.zeros(6), 48.0) - xyz).max() <= 5e-4


QUICK = TINY.changed(cloud={'scene': {'size': 32.0}, 'lidar': {'density': 1.0}})


def test_a_data_set_of_pairs_is_laid_out_by_split(tmp_path: Path) -> None:
    record = generate_cloud_pairs(CloudPairPlan(QUICK, 2, 1), tmp_path)
    assert record['splits'] == {'train': ['train/pair_000'], 'val': ['val/pair_001']}
    assert (tmp_path / 'val' / 'pair_001' / 'epoch1.npz').is_file()
    assert json.loads((tmp_path / 'dataset.json').read_text()) == record
    with pytest.raises(ValueError, match='no pair for training'):
        CloudPairPlan(QUICK, 1, 1)


@pytest.mark.slow
def test_pairs_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    one, other = (generate_cloud_pair(QUICK.changed(cloud={'mode': 'photogrammetry'}), tmp_path / str(workers),
                                      workers=workers) for workers in (1, 4))
    assert one == other


def test_wrong_configurations_name_the_field() -> None:
    for parts, message in (({'change_share': 0.9}, 'change_share'), ({'cloud': {'formats': ('las',)}}, 'formats'),
                           ({'kinds': {'flood': 1.0}}, 'flood'), ({'kinds': {'demolition': 0.0}}, 'above 0')):
        with pytest.raises(ValueError, match=message):
            TINY.changed(**parts)
