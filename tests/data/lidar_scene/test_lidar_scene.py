"""Generated LiDAR scenes: rays against formulas, what lies where, equal files for equal seeds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from imbdense.core.boxes3d import bev_iou, enlarge, points_in_boxes
from imbdense.data.boxes3d import kitti_scenes, read_velodyne, scene_objects
from imbdense.data.claim import OtherDataError
from imbdense.data.lidar_scene import SETUPS, LidarSensor, LidarSetup, ObjectClass, generate_lidar_scenes, make_scan
from imbdense.data.lidar_scene.raycast import Solid, cast, sensor_rays

SMALL = replace(SETUPS['beams64'], sensor=replace(SETUPS['beams64'].sensor, beams=16, step=2.0))


def test_rays_meet_what_they_should() -> None:
    """A wall 10 m ahead, a pole 5 m to the left, the ground below."""
    azimuths, elevations = np.radians([0.0, 90.0, -90.0]), np.radians([-10.0, 0.0, 30.0])
    wall = Solid((11.0, 0, 2.5), (2, 4, 5), 0.0, False, 0, 0.5)
    pole = Solid((0.0, 5, 2.0), (0.5, 0.5, 4), 0.0, True, 1, 0.5)
    ranges, which = cast(2.0, azimuths, elevations, [wall, pole])
    tan, cos = np.tan(np.radians(10)), np.cos(np.radians(10))
    assert ranges[0, :2].tolist() == pytest.approx([10 / cos, 10.0]) and which[0].tolist() == [0, 0, -1]
    assert ranges[1, :2].tolist() == pytest.approx([4.75 / cos, 4.75]) and which[1].tolist() == [1, 1, -1]
    assert ranges[2, 0] == pytest.approx(2 / np.sin(np.radians(10))) and which[2, 0] == -1
    assert np.isinf(ranges[:, 2]).all() and 10 * tan < 2  # over everything; the wall is met above the ground


def test_turned_box_equals_marching() -> None:
    """Small steps along each ray find the same range."""
    box = Solid((6.0, 1.0, 0.8), (4.0, 1.5, 1.6), 0.6, False, 0, 0.5)
    azimuths, elevations = sensor_rays(-15, 5, 8, 40, 5)
    ranges, which = cast(1.7, azimuths, elevations, [box])
    along = np.arange(0.5, 12, 0.002)
    for column, azimuth in enumerate(azimuths):
        for beam, elevation in enumerate(elevations):
            x, y = along * np.cos(elevation) * np.cos(azimuth) - 6, along * np.cos(elevation) * np.sin(azimuth) - 1
            z = 1.7 + along * np.sin(elevation) - 0.8
            u, v = x * np.cos(0.6) + y * np.sin(0.6), y * np.cos(0.6) - x * np.sin(0.6)
            inside = (np.abs(u) <= 2) & (np.abs(v) <= 0.75) & (np.abs(z) <= 0.8)
            if inside.sum() > 2:
                assert which[column, beam] == 0
                assert ranges[column, beam] == pytest.approx(along[inside][0], abs=0.004)


def test_objects_hold_their_points_and_do_not_touch() -> None:
    for number in range(4):
        scan = make_scan(SETUPS['beams32'], np.random.default_rng(number))
        boxes = torch.from_numpy(scan.boxes)
        inside = points_in_boxes(torch.from_numpy(scan.points).double(), enlarge(boxes, (0.2, 0.2, 0.2)))
        assert (inside.sum(dim=1) > 0).all() and 1000 < len(scan.points) < 20000
        overlap = bev_iou(boxes, boxes).fill_diagonal_(0)
        assert overlap.max() == 0
        bottom = scan.boxes[:, 2] - scan.boxes[:, 5] / 2
        np.testing.assert_allclose(bottom, -1.84)
        assert np.quantile(scan.points[:, 2], 0.2) == pytest.approx(-1.84, abs=0.1)
        assert (scan.visible > 0).all() and scan.points.dtype == np.float32


def test_domains_differ_and_classes_are_imbalanced() -> None:
    scans = {name: [make_scan(setup, np.random.default_rng([7, i])) for i in range(12)]
             for name, setup in SETUPS.items()}
    size = {name: np.mean([box[3] for scan in own for box, label in zip(scan.boxes, scan.labels) if label == 0])
            for name, own in scans.items()}
    assert size['beams32'] / size['beams64'] == pytest.approx(4.7 / 3.9, rel=0.03)
    counts = sum(np.bincount(scan.labels, minlength=3) for own in scans.values() for scan in own)
    assert counts[0] > 2 * counts[1] > 4 * counts[2] / 2


def test_folder_is_deterministic_and_a_broken_run_goes_on(tmp_path: Path) -> None:
    record = generate_lidar_scenes(tmp_path / 'a', SMALL, {'train': 2, 'val': 1}, seed=3)
    again = generate_lidar_scenes(tmp_path / 'b', SMALL, {'train': 2, 'val': 1}, seed=3)
    assert record == again == json.loads((tmp_path / 'a' / 'lidar_scenes.json').read_text())
    files = sorted(path.relative_to(tmp_path / 'a') for path in (tmp_path / 'a').rglob('*.*'))
    assert len(files) == 3 * 3 + 2 + 1
    for file in files:
        assert (tmp_path / 'a' / file).read_bytes() == (tmp_path / 'b' / file).read_bytes()
    (tmp_path / 'b' / 'lidar_scenes.json').rename(tmp_path / 'b' / 'lidar_scenes.json.part')  # killed before the end
    assert generate_lidar_scenes(tmp_path / 'b', SMALL, {'train': 2, 'val': 1}, seed=3) == record
    with pytest.raises(OtherDataError, match='seed is 3 there, but 4 is asked'):
        generate_lidar_scenes(tmp_path / 'a', SMALL, {'train': 2, 'val': 1}, seed=4)


def test_labels_fit_the_points(tmp_path: Path) -> None:
    generate_lidar_scenes(tmp_path, SETUPS['beams32'], {'train': 2}, seed=0)
    for number, scene in enumerate(kitti_scenes(tmp_path, 'train')):
        scan = make_scan(SETUPS['beams32'], np.random.default_rng([0, number]))
        labels, boxes, _ = scene_objects(scene)
        np.testing.assert_allclose(boxes[:, :6], scan.boxes[:, :6], atol=2e-4)
        np.testing.assert_array_equal(read_velodyne(scene.points), scan.points)
        assert set(labels.names) <= {'Car', 'Pedestrian', 'Cyclist'} and (labels.occlusion <= 2).all()


def test_errors() -> None:
    for make, words in (
        (lambda: LidarSensor(beams=1), 'beams'), (lambda: LidarSensor(lowest=5, highest=2), 'below highest'),
        (lambda: ObjectClass('a', 'tank', (1, 1, 1), 1), 'shape'),
        (lambda: ObjectClass('a', 'car', (1, 0, 1), 1), 'size'),
    ):
        with pytest.raises(ValueError, match=words):
            make()
    with pytest.raises(ValueError, match='no kind'):
        make_scan(LidarSetup(LidarSensor(beams=2, step=20), (), clutter={'tower': 9.0}), np.random.default_rng(0))
