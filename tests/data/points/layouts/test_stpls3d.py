"""STPLS3D: the benchmark map for every code, splits, and the text files there and back."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.data.points import PointCloud
from imbdense.data.points.layout import load_scene
from imbdense.data.points.layouts import point_layout, stpls3d
from tests.data.points.point_folders import add_stpls3d_synthetic, cloud, make_stpls3d

BENCHMARK6 = [0, 1, 2, 2, 2, 3, 3, 1, 3, 1, 1, 4, 4, 1, 5, 0, 0, 1, 0, 0]
"""Class of codes 0 to 19 in the published benchmark: aircraft, bikes, motorcycles and clutter are building."""


def test_benchmark_map_of_every_code():
    layout = point_layout('stpls3d')
    codes = np.arange(20)
    assert layout.class_map().apply(codes, owner='x').tolist() == BENCHMARK6
    clean = layout.class_map('clean6').apply(codes, owner='x')
    false_buildings = np.isin(codes, (7, 9, 10, 13))
    assert (clean[false_buildings] == -1).all()
    assert clean[~false_buildings].tolist() == [BENCHMARK6[code] for code in codes[~false_buildings]]
    assert layout.class_map('raw20').apply(codes, owner='x').tolist() == list(range(20))
    assert layout.class_map('instance14').apply(codes, owner='x').tolist() == [*range(15), -1, -1, -1, -1, -1]
    assert len(layout.class_map('instance14').classes) == 15 and stpls3d.NAMES[9] == 'Bike'


@pytest.mark.parametrize('header', [False, True])
def test_text_there_and_back(tmp_path, header):
    """All 18 classes, coordinates to the last bit, instances (-100 in the file)."""
    rng = np.random.default_rng(0)
    used = [code for code in range(20) if code not in (16,)]
    count = 500
    one = PointCloud(
        rng.random((count, 3)) * 1000 + [3e5, 3.7e6, 20], {'rgb': rng.integers(0, 256, (count, 3)).astype(np.uint8)},
        np.resize(np.array(used), count), rng.integers(-1, 60, count),
    )
    folder = tmp_path / stpls3d.INSTANCES
    folder.mkdir()
    path = folder / '1_points_GTv3.txt'
    stpls3d.write(path, one)
    assert ',-100\n' in path.read_text()
    if header:
        path.write_text('X,Y,Z,R,G,B,Sem,Ins\n' + path.read_text())
    layout = point_layout('stpls3d')
    (scene,) = layout.scenes(tmp_path, 'instance_train')
    again = load_scene(layout, scene, mapping='raw20')
    np.testing.assert_array_equal(again.xyz, one.xyz)
    np.testing.assert_array_equal(again.attributes['rgb'], one.attributes['rgb'])
    np.testing.assert_array_equal(again.semantic, one.semantic)
    np.testing.assert_array_equal(again.instance, one.instance)
    six = load_scene(layout, scene).semantic
    assert six.tolist() == [BENCHMARK6[code] for code in one.semantic.tolist()]


def test_text_without_instances_or_labels(tmp_path):
    folder = tmp_path / stpls3d.REAL
    folder.mkdir()
    stpls3d.write(folder / 'RA_points.txt', cloud((1, 2)).replace(instance=None))
    (folder / 'USC_points.txt').write_text('1,2,3,4,5,6\n')
    layout = point_layout('stpls3d')
    with_labels, without = layout.scenes(tmp_path, 'real_train')
    assert load_scene(layout, with_labels).instance is None
    bare = load_scene(layout, without, need_labels=False)
    assert bare.semantic is None and bare.attributes['rgb'].tolist() == [[4, 5, 6]]


def test_official_splits(tmp_path):
    make_stpls3d(tmp_path)
    add_stpls3d_synthetic(tmp_path)
    layout = point_layout('stpls3d')

    def names(split):
        return [scene.name.split('/')[1].split('_')[0] for scene in layout.scenes(tmp_path, split)]

    assert names('test') == ['WMSC'] and names('real_train') == ['OCCC', 'RA', 'USC']
    assert names('instance_val') == ['10', '5'] and names('instance_train') == ['1', '4']
    assert names('instance_test') == ['26']
    assert names('synthetic') == ['1', '2', '10', '1', '4', '5'] and len(names('train')) == 9
    whole = [scene.name for scene in layout.scenes(tmp_path, 'train')]
    assert len(set(whole)) == 9
