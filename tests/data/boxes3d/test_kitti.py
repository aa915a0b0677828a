"""KITTI's files: round trips, a known line, errors that name the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imbdense.data.boxes3d import (
    KittiCalib,
    KittiError,
    camera_to_lidar,
    image_boxes,
    kitti_scenes,
    lidar_to_camera,
    read_calib,
    read_labels,
    read_velodyne,
    scene_objects,
    write_calib,
    write_labels,
    write_velodyne,
)

LINE = 'Car 0.00 0 -1.57 100.00 120.00 180.00 160.00 1.50 1.60 3.90 2.00 1.70 20.00 -1.60\n'
AXES = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0]])
CALIB = KittiCalib(np.array([[700.0, 0, 600, 0], [0, 700, 180, 0], [0, 0, 1, 0]]), np.eye(3), AXES)


def tilted() -> KittiCalib:
    """A camera beside and below the LiDAR, looking a little down."""
    angle = 0.02
    rotation = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    motion = AXES.copy()
    motion[:, 3] = [0.1, -0.08, -0.27]
    return KittiCalib(CALIB.projection, rotation, motion)


def test_label_line(tmp_path: Path) -> None:
    (tmp_path / 'a.txt').write_text(LINE + 'DontCare -1 -1 -10 1 2 3 4 -1 -1 -1 -1000 -1000 -1000 -10\n')
    labels = read_labels(tmp_path / 'a.txt')
    assert labels.names == ('Car', 'DontCare') and labels.scores is None and labels.occlusion.tolist() == [0, -1]
    assert labels.image_boxes[0].tolist() == [100, 120, 180, 160]
    assert labels.camera_boxes[0].tolist() == [2, 1.7, 20, 1.5, 1.6, 3.9, -1.6]
    box = camera_to_lidar(labels.camera_boxes[:1], CALIB)[0]
    assert box.tolist() == pytest.approx([20, -2, -1.7 + 0.75, 3.9, 1.6, 1.5, 1.6 - np.pi / 2])
    write_labels(tmp_path / 'b.txt', labels)
    again = read_labels(tmp_path / 'b.txt')
    np.testing.assert_allclose(again.camera_boxes, labels.camera_boxes)
    (tmp_path / 'c.txt').write_text('')
    assert len(read_labels(tmp_path / 'c.txt')) == 0


@pytest.mark.parametrize('calib', [CALIB, tilted()])
def test_boxes_go_to_the_camera_and_back(calib: KittiCalib) -> None:
    rng = np.random.default_rng(0)
    boxes = rng.random((30, 7)) * [40, 20, 1, 4, 2, 2, 6] - [0, 10, 2, 0, 0, 0, 3]
    np.testing.assert_allclose(camera_to_lidar(lidar_to_camera(boxes, calib), calib), boxes, atol=1e-9)
    assert lidar_to_camera(np.zeros((0, 7)), calib).shape == (0, 7)


def test_box_in_the_image() -> None:
    """A cube of 2 m at 11 m: its front face, 10 m away, is 140 pixels wide, and bounds the rest."""
    box = np.array([[11.0, 0, 0, 2, 2, 2, 0]])
    assert image_boxes(box, CALIB)[0].tolist() == pytest.approx([600 - 70, 180 - 70, 600 + 70, 180 + 70])
    assert np.isfinite(image_boxes(np.array([[0.0, 0, 0, 2, 2, 2, 0]]), CALIB)).all()


def test_folder(tmp_path: Path) -> None:
    for part in ('velodyne', 'label_2', 'calib'):
        (tmp_path / 'training' / part).mkdir(parents=True)
    (tmp_path / 'ImageSets').mkdir()
    (tmp_path / 'ImageSets' / 'train.txt').write_text('000007\n')
    (scene,) = kitti_scenes(tmp_path, 'train')
    points = np.random.default_rng(0).random((5, 4)).astype(np.float32)
    write_velodyne(scene.points, points)
    write_calib(scene.calib, tilted())
    scene.labels.write_text(LINE + LINE.replace('Car', 'DontCare'))
    np.testing.assert_array_equal(read_velodyne(scene.points), points)
    np.testing.assert_allclose(read_calib(scene.calib).lidar_to_rect, tilted().lidar_to_rect)
    labels, boxes, _ = scene_objects(scene)
    assert labels.names == ('Car',) and boxes.shape == (1, 7)


def test_errors_name_the_file(tmp_path: Path) -> None:
    for content, words in (('Car 1 2 3', 'line 1.*15 words'), (LINE + 'Car a ' + LINE[9:], 'line 2')):
        (tmp_path / 'bad.txt').write_text(content)
        with pytest.raises(KittiError, match=words):
            read_labels(tmp_path / 'bad.txt')
    (tmp_path / 'bad.bin').write_bytes(b'\0' * 20)
    with pytest.raises(KittiError, match='no multiple of 4'):
        read_velodyne(tmp_path / 'bad.bin')
    np.full(4, np.nan, '<f4').tofile(tmp_path / 'nan.bin')
    with pytest.raises(KittiError, match='not finite'):
        read_velodyne(tmp_path / 'nan.bin')
    (tmp_path / 'calib.txt').write_text('P2: 1 2 3\n')
    with pytest.raises(KittiError, match='P2 must be 12 numbers'):
        read_calib(tmp_path / 'calib.txt')
    for reader in (read_labels, read_calib, read_velodyne):
        with pytest.raises(KittiError, match='missing'):
            reader(tmp_path / 'missing')
    with pytest.raises(KittiError, match=r'val\.txt'):
        kitti_scenes(tmp_path, 'val')
    with pytest.raises(ValueError, match=r'\(N, 4\)'):
        write_velodyne(tmp_path / 'x.bin', np.zeros((3, 3)))
