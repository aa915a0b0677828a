"""stpls3d §5 A: what a cloud's folder holds, and that it is reproducible."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imbdense.data.scene import classes as c
from imbdense.data.scene.clouds.config import CloudConfig
from imbdense.data.scene.clouds.dataset import CloudPlan, generate_clouds
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
        'cloud.npz', 'cameras.json', 'instances.json', 'manifest.json', 'timing.json', 'images', 'masks', 'inst', 'depth'}
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


def test_the_number_of_workers_changes_nothing_and_the_seed_everything(tmp_path: Path) -> None:
    config = tiny(scene=QUICK)
    alone = generate_cloud(config, tmp_path / 'alone')
    shared = generate_cloud(config, tmp_path / 'shared', workers=4)
    assert alone == shared and alone.digest() == shared.digest()
    other = generate_cloud(tiny(scene={**QUICK, 'seed': 4}), tmp_path / 'other')
    assert all(other.arrays[name] != digest for name, digest in alone.arrays.items())


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
