"""Toronto-3D, DALES, SemanticKITTI, IGN LiDAR HD: fields, splits, packed labels, poses."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.data.points import PointReadError
from imbdense.data.points.layout import load_scene
from imbdense.data.points.layouts import point_layout
from imbdense.data.points.layouts.semantickitti import CLASSES, read_calibration, read_poses
from tests.data.points.point_folders import make_dales, make_ign_lidar_hd, make_semantickitti, make_toronto3d
from tests.helpers.shared_data import shared_data_dir


def test_toronto3d_scalars_and_utm(tmp_path):
    make_toronto3d(tmp_path)
    layout = point_layout('toronto3d')
    assert [scene.name for scene in layout.scenes(tmp_path, 'train')] == ['L001', 'L003', 'L004']
    assert [scene.name for scene in layout.scenes(tmp_path, 'test')] == ['L002']
    loaded = load_scene(layout, layout.scenes(tmp_path, 'val')[0])
    assert loaded.semantic[:9].tolist() == [-1, 0, 1, 2, 3, 4, 5, 6, 7]
    assert loaded.attributes['scalar_Intensity'][5] == 5 and loaded.xyz[0, 1] > 4_841_948
    assert np.abs(loaded.local() + loaded.origin - loaded.xyz).max() < 1e-5


def test_dales_objects_and_splits(tmp_path):
    make_dales(tmp_path)
    layout = point_layout('dales')
    assert len(layout.scenes(tmp_path, 'trainval')) == 4 and len(layout.scenes(tmp_path, 'val')) == 3
    (scene,) = layout.scenes(tmp_path, 'train')
    loaded = load_scene(layout, scene)
    assert loaded.semantic[:9].tolist() == [-1, 0, 1, 2, 3, 4, 5, 6, 7] and loaded.instance[:3].tolist() == [0, 1, 2]


def test_semantickitti_halves_of_the_label_word(tmp_path):
    make_semantickitti(tmp_path)
    layout = point_layout('semantickitti')
    scenes = layout.scenes(tmp_path, 'train')
    assert [scene.name for scene in scenes] == ['00/000000', '00/000001', '01/000000', '01/000001']
    raw = layout.cloud(scenes[0])
    assert raw.semantic[:8].tolist() == [0, 10, 252, 40, 60, 70, 81, 259]
    assert raw.instance.tolist() == np.repeat([-1, 1, 2, 3], 4).tolist()
    names = [CLASSES[train] if train >= 0 else None for train in load_scene(layout, scenes[0]).semantic[:8].tolist()]
    assert names == [None, 'car', 'car', 'road', 'road', 'vegetation', 'traffic-sign', 'other-vehicle']
    assert raw.attributes['intensity'].dtype == np.float32
    assert layout.cloud(layout.scenes(tmp_path, 'test')[0]).semantic is None
    path = tmp_path / 'sequences/00/labels/000000.label'
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(PointReadError, match='has 15 labels, but its scan has 16 points'):
        layout.cloud(scenes[0])
    scan = scenes[1].path
    scan.write_bytes(scan.read_bytes()[:-4])
    with pytest.raises(PointReadError, match='has 252 bytes, no multiple of 16'):
        layout.cloud(scenes[1])


def test_poses_of_the_sensor_from_those_of_the_camera(tmp_path):
    """A car that drives 2 m forward: the camera moves along its z, the sensor along its x."""
    (tmp_path / 'calib.txt').write_text('P0: 1 0 0 0 0 1 0 0 0 0 1 0\nTr: 0 -1 0 0.1 0 0 -1 0.2 1 0 0 0.3\n')
    (tmp_path / 'poses.txt').write_text('1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0 0 0 1 0 0 0 0 1 2\n')
    calibration = read_calibration(tmp_path / 'calib.txt')
    poses = read_poses(tmp_path / 'poses.txt', calibration)
    assert poses.shape == (2, 4, 4)
    np.testing.assert_allclose(poses[0], np.eye(4), atol=1e-12)
    np.testing.assert_allclose(poses[1] @ [1, 0, 0, 1], [3, 0, 0, 1], atol=1e-12)
    (tmp_path / 'poses.txt').write_text('1 0 0\n')
    with pytest.raises(PointReadError, match='no 12 numbers in line 1'):
        read_poses(tmp_path / 'poses.txt', calibration)
    with pytest.raises(PointReadError, match=r'needs Tr of calib\.txt'):
        read_poses(tmp_path / 'poses.txt', {})


def test_ign_codes_beyond_the_classes_are_ignored(tmp_path):
    make_ign_lidar_hd(tmp_path)
    layout = point_layout('ign_lidar_hd')
    scene = layout.scenes(tmp_path, 'train')[0]
    assert load_scene(layout, scene).semantic[:10].tolist() == [-1, 0, 1, 2, 3, 4, 6, 7, -1, 8]
    everything = layout.class_map('all_codes').classes
    loaded = load_scene(layout, scene, mapping='all_codes').semantic[:10]
    names = [everything[train] for train in loaded.tolist()]
    assert names[6:9] == ['bridge deck', 'lasting structure', 'virtual point']


def test_real_tiles_of_both_splits():
    root = shared_data_dir('ign_lidar_hd')
    layout = point_layout('ign_lidar_hd')
    counts = np.zeros(9, np.int64)
    for scene in layout.scenes(root, 'train'):
        loaded = load_scene(layout, scene)
        counts += np.bincount(loaded.semantic[loaded.semantic >= 0], minlength=9)
    assert counts.tolist() == [228370, 6490, 10330, 124225, 109787, 0, 267, 160, 142]
    assert len(layout.scenes(root, 'val')) == 2
