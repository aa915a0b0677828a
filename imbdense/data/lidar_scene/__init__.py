"""Generated LiDAR scenes: boxes and cylinders on a plane, scanned by a sensor of one's choice, as a KITTI folder."""

from imbdense.data.lidar_scene.generate import generate_lidar_scenes
from imbdense.data.lidar_scene.setup import SETUPS, LidarSensor, LidarSetup, ObjectClass
from imbdense.data.lidar_scene.world import LidarScan, make_scan

__all__ = [
    'SETUPS',
    'LidarScan',
    'LidarSensor',
    'LidarSetup',
    'ObjectClass',
    'generate_lidar_scenes',
    'make_scan',
]
