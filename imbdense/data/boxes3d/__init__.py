"""Files of scenes with boxes in space: the layout of KITTI."""

from imbdense.data.boxes3d.kitti_calib import (
    KittiCalib,
    KittiError,
    camera_to_lidar,
    image_boxes,
    lidar_to_camera,
    read_calib,
    write_calib,
)
from imbdense.data.boxes3d.kitti_folder import (
    KittiScene,
    kitti_scenes,
    read_velodyne,
    scene_objects,
    write_velodyne,
)
from imbdense.data.boxes3d.kitti_labels import KittiLabels, read_labels, write_labels

__all__ = [
    'KittiCalib',
    'KittiError',
    'KittiLabels',
    'KittiScene',
    'camera_to_lidar',
    'image_boxes',
    'kitti_scenes',
    'lidar_to_camera',
    'read_calib',
    'read_labels',
    'read_velodyne',
    'scene_objects',
    'write_calib',
    'write_labels',
    'write_velodyne',
]
