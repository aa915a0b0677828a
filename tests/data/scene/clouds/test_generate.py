"""stpls3d §5 A: what a cloud's folder holds, and that it is reproducible."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imbdense.data.points.errors import PointReadError
from imbdense.data.points.layout import Scene, load_scene
from imbdense.data.points.layouts import aerial_scenes, point_layout
from imbdense.data.scene import classes as c
from imbdense.data.scene.clouds.config import CloudConfig
from imbdense.data.scene.clouds.dataset import CloudPlan, generate_clouds
from imbdense.data.scene.clouds.files import write_cloud
from imbdense.data.scene.clouds.fusion import Cloud
from imbdense.data.scene.clouds.generate import CloudManifest, array_digest, finished_cloud, generate_cloud
from imbdense.data.scene.flight import plan_flight
from imbdense.data.scene.manifest import file_digest
from imbdense.data.scene.world import WorldBuilder
from tests.data.scene.clouds.conftest import survey, tiny

pytest.importorskip('open3d')
Generated = tuple[Path, CloudConfig, CloudManifest]
QUICK = {'size': 24.0, 'flight': {'width': 96, 'height': 72}}


def test_files_counts_and_digests(tiny_cloud: Generated) -> None:
    folder, config, manifest = tiny_cloud
    assert {path.name for path in folder.iterdir()} == {
        'cloud.npz', 'cameras.json', 'instances.json', 'manifest.json', 'timing.json', 'images', 'masks', 'inst',
        'depth'}
    found = {str(path.relative_to(folder)): file_digest(path) for path in folder.rglob('*') if path.is_file()}
    assert {**manifest.files} == {name: value for name, value in found.items()
                                  if name not in ('manifest.json', 'timing.json')}
    cloud = dict(np.load(folder / 'cloud.npz'))
    assert {name: (array.dtype.str, array.shape[1:]) for name, array in cloud.items()} == {
        'xyz': ('<f8', (3,)), 'rgb': ('|u1', (3,)), 'n_views': ('<u2', ()), 'purity': ('<f4', ()),
        'semantic': ('|u1', ()), 'instance': ('<i4', ())}
    assert {name: array_digest(array) for name, array in cloud.items()} == manifest.arrays
    assert np.array_equal(np.round(cloud['xyz'], 3), cloud['xyz'])
    assert cloud['xyz'][:, :2].min() >= 0 and cloud['xyz'][:, :2].max() <= config.scene.size
    points = np.bincount(cloud['semantic'], minlength=256)
    assert {name: int(points[number]) for name, number in c.CLASS_IDS.items()} == manifest.counts['points']
    assert sum(manifest.shares.values()) == pytest.approx(1) and cloud['n_views'].min() >= 3
    owner = {item['id']: c.CLASS_IDS[item['class']]
             for item in json.loads((folder / 'instances.json').read_text())['instances']}
    for number in np.unique(cloud['instance'][cloud['instance'] >= 0]):
        seen = set(np.unique(cloud['semantic'][cloud['instance'] == number]))
        assert seen <= ({c.BUILDING, c.WINDOWS} if owner[number] == c.BUILDING else {owner[number]})
    bare = np.isin(cloud['semantic'], (c.GROUND, c.ROAD, c.DIRT, c.GRASS))
    assert np.array_equal(bare, cloud['instance'] == -1)


def test_a_finished_cloud_is_kept_and_a_damaged_one_is_not(tiny_cloud: Generated) -> None:
    folder, config, manifest = tiny_cloud
    assert finished_cloud(folder, config) == manifest == generate_cloud(config, folder)
    assert finished_cloud(folder, config.changed(scene={'seed': 4})) is None
    assert finished_cloud(folder / 'nowhere', config) is None


def test_another_seed_is_another_cloud(tmp_path: Path) -> None:
    one, other = (generate_cloud(tiny(scene={**QUICK, 'seed': seed}), tmp_path / str(seed)) for seed in (3, 4))
    assert all(other.arrays[name] != digest for name, digest in one.arrays.items())


@pytest.mark.slow
@pytest.mark.parametrize('mode', ['photogrammetry', 'lidar'])
def test_four_workers_make_the_same_bytes_as_one(tmp_path: Path, mode: str) -> None:
    config = tiny(mode=mode, scene={'mix': {'correction_rounds': 1}}, lidar={'scan_angle': 8.0})
    alone = generate_cloud(config, tmp_path / 'alone')
    shared = generate_cloud(config, tmp_path / 'shared', workers=4)
    assert alone == shared and alone.digest() == shared.digest()


def test_two_workers_make_the_same_bytes_as_one(tmp_path: Path) -> None:
    alone, shared = (generate_cloud(tiny(scene=QUICK), tmp_path / str(workers), workers=workers) for workers in (1, 2))
    assert alone == shared


def test_the_mix_leaves_terrain_buildings_and_cameras() -> None:
    config = tiny()
    builders = [WorldBuilder(config.changed(scene={'mix': {'profile': profile}}).scene)
                for profile in ('stpls3d', {'bike': 5.0, 'vehicle': 1.0})]
    first, second = builders
    assert np.array_equal(first.terrain.heights, second.terrain.heights)
    for one, other in zip(first.buildings, second.buildings, strict=True):
        assert np.array_equal(one.mesh.vertices, other.mesh.vertices)
    for one, other in zip(*(plan_flight(item.config, item.terrain) for item in builders), strict=True):
        assert np.array_equal(one.c2w, other.c2w)


def test_a_data_set_names_its_splits_and_counts(tmp_path: Path) -> None:
    plan = CloudPlan(tiny(scene=QUICK), 2, 1, 'benchmark6')
    lines: list[str] = []
    record = generate_clouds(plan, tmp_path, report=lines.append)
    assert (tmp_path / 'splits' / 'train.txt').read_text() == 'scenes/scene_000/cloud.npz\n'
    assert (tmp_path / 'splits' / 'val.txt').read_text() == 'scenes/scene_001/cloud.npz\n'
    assert record == json.loads((tmp_path / 'dataset.json').read_text()) and len(lines) == 2
    cloud = np.load(tmp_path / 'scenes' / 'scene_000' / 'cloud.npz')
    table = {int(raw): train for raw, train in record['label_map'].items()}
    assert table[c.BIKE] == record['classes'].index('building') and table[16] == 0
    counts = np.bincount([table[raw] for raw in cloud['semantic']], minlength=6)
    assert list(record['class_counts']['train'].values()) == counts.tolist()
    with pytest.raises(ValueError, match='no scene for training'):
        CloudPlan(tiny(), 1, 1)


def test_too_little_overlap_says_what_to_raise() -> None:
    config = tiny(scene={'flight': {'pattern': 'nadir', 'overlap_forward': 0.0, 'overlap_side': 0.0}},
                  stereo={'baseline': 10.0})
    with pytest.raises(ValueError, match=r'raise\s+flight.overlap_forward=0'):
        survey(config, {})


@pytest.mark.parametrize(('parts', 'message'), [
    ({'mode': 'sonar'}, 'mode'), ({'stereo': {'voxel': 0}}, 'stereo.voxel'), ({'formats': ()}, 'formats'),
    ({'formats': ('npz', 'npz')}, 'formats'), ({'lidar': {'density': -1}}, 'lidar.density'),
    ({'stereo': {'min_views': 0}}, 'stereo.min_views')])
def test_wrong_configurations_name_the_field(parts: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny(**parts)
    with pytest.raises(TypeError, match='no field'):
        tiny(stereo={'voxels': 1})


@pytest.mark.parametrize('suffix', ['txt', 'ply', 'las', 'npz'])
def test_every_format_brings_the_cloud_back(tiny_cloud: Generated, tmp_path: Path, suffix: str) -> None:
    folder = tiny_cloud[0]
    arrays = dict(np.load(folder / 'cloud.npz'))
    cloud = Cloud(arrays.pop('xyz'), arrays.pop('semantic'), arrays.pop('instance'), arrays)
    assert write_cloud(tmp_path, cloud, (suffix,)) == [f'cloud.{suffix}']
    found = aerial_scenes.read(Scene('scene', tmp_path / f'cloud.{suffix}'))
    assert found.semantic is not None and found.instance is not None
    assert np.array_equal(found.xyz, cloud.xyz) or np.abs(found.xyz - cloud.xyz).max() < 5.1e-4
    assert np.array_equal(found.semantic, cloud.semantic) and np.array_equal(found.instance, cloud.instance)
    assert np.array_equal(found.attributes['rgb'], cloud.attributes['rgb'])
    if suffix == 'txt':
        first = (tmp_path / 'cloud.txt').read_text().splitlines()[0].split(',')
        assert len(first) == 8 and first[-1] == ('-100' if cloud.instance[0] < 0 else str(cloud.instance[0]))


def test_the_layout_finds_what_the_splits_name(tiny_cloud: Generated, tmp_path: Path) -> None:
    (tmp_path / 'splits').mkdir()
    (tmp_path / 'splits' / 'val.txt').write_text('scenes/scene_007/cloud.npz\n')
    target = tmp_path / 'scenes' / 'scene_007' / 'cloud.npz'
    target.parent.mkdir(parents=True)
    target.write_bytes((tiny_cloud[0] / 'cloud.npz').read_bytes())
    layout = point_layout('aerial_scenes')
    (scene,) = layout.scenes(tmp_path, 'val')
    raw = np.load(target)['semantic']
    for mapping in c.MAPPINGS:
        if mapping in layout.class_maps:
            found = load_scene(layout, scene, mapping=mapping).semantic
            table = c.MAPPINGS[mapping].table().astype(int)
            assert found is not None and np.array_equal(np.where(found < 0, 255, found), table[raw])
    with pytest.raises(PointReadError, match='no scene of split'):
        layout.scenes(tmp_path, 'train')
