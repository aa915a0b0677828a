"""SemanticKITTI: scans of a turning lidar, one file per scan (Behley et al., ICCV 2019)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbdense.data.points.class_map import ClassMap, spread_colours
from imbdense.data.points.cloud import PointCloud
from imbdense.data.points.errors import PointReadError
from imbdense.data.points.layout import PointLayout, Scene
from imbdense.data.points.read import read_points

CLASSES = (
    'car', 'bicycle', 'motorcycle', 'truck', 'other-vehicle', 'person', 'bicyclist', 'motorcyclist', 'road', 'parking',
    'sidewalk', 'other-ground', 'building', 'fence', 'vegetation', 'trunk', 'terrain', 'pole', 'traffic-sign',
)
_CODES = {
    'car': (10, 252), 'bicycle': (11,), 'motorcycle': (15,), 'truck': (18, 258),
    'other-vehicle': (13, 16, 20, 256, 257, 259), 'person': (30, 254), 'bicyclist': (31, 253),
    'motorcyclist': (32, 255), 'road': (40, 60), 'parking': (44,), 'sidewalk': (48,), 'other-ground': (49,),
    'building': (50,), 'fence': (51,), 'vegetation': (70,), 'trunk': (71,), 'terrain': (72,), 'pole': (80,),
    'traffic-sign': (81,),
}
"""Codes of the label files, of standing and of moving (from 252 on) things, that the benchmark gathers in a class."""
SINGLE_SCAN = ClassMap(
    CLASSES, spread_colours(len(CLASSES)),
    {0: -1, 1: -1, 52: -1, 99: -1, **{c: train for train, name in enumerate(CLASSES) for c in _CODES[name]}},
)
"""The learning map of the single-scan benchmark; unlabelled (0), outlier (1), other structure (52) and other object
(99) are ignored."""
SEQUENCES = {
    'train': ('00', '01', '02', '03', '04', '05', '06', '07', '09', '10'), 'val': ('08',),
    'test': tuple(f'{number}' for number in range(11, 22)),
}


def find(root: Path, split: str) -> list[Scene]:
    """Scans ``sequences/<sequence>/velodyne/*.bin`` in the order of time; called sequence/scan."""
    folders = [root / 'sequences' / name / 'velodyne' for name in SEQUENCES[split]]
    return [Scene(f'{folder.parent.name}/{path.stem}', path)
            for folder in folders if folder.is_dir() for path in sorted(folder.glob('*.bin'))]


def read(scene: Scene) -> PointCloud:
    """Coordinates in the frame of the sensor, ``intensity`` (remission 0 to 1), codes and instances where labelled."""
    cloud = read_points(scene.path)
    path = scene.path.parent.parent / 'labels' / f'{scene.path.stem}.label'
    if not path.is_file():
        return cloud
    semantic, instance = read_labels(path, len(cloud))
    return cloud.replace(semantic=semantic, instance=instance)


def read_labels(path: Path, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Codes and instances (N,) of a ``.label`` file: the lower and upper 16 bits of one uint32 per point.

    Instances are unique over the sequence together with their class; 0 of the file (none) becomes -1.

    Raises:
        PointReadError: another number of labels than points.
    """
    size = path.stat().st_size
    if size != 4 * count:
        raise PointReadError(
            path, 'truncated', f'has {size / 4:g} labels, but its scan has {count} points.', 'Copy both anew.'
        )
    packed = np.fromfile(path, '<u4')
    instance = (packed >> 16).astype(np.int64)
    return (packed & 0xFFFF).astype(np.int64), np.where(instance == 0, -1, instance)


def read_calibration(path: Path) -> dict[str, NDArray[np.float64]]:
    """Matrices (4, 4) of a ``calib.txt`` by name (``P0``, ..., ``Tr``: sensor to camera); lines name: 12 numbers.
    """
    found = {}
    for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), 1):
        name, _, text = line.partition(':')
        if line.strip():
            found[name.strip()] = _matrix(path, number, text)
    return found


def read_poses(path: Path, calibration: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Poses (scans, 4, 4) of the sensor: points of scan i in the frame of scan 0 are ``pose[i] @ (x, y, z, 1)``.

    ``poses.txt`` holds poses of the left camera P; the sensor's are ``Tr^-1 @ P @ Tr``.
    """
    if 'Tr' not in calibration:
        raise PointReadError(path, 'schema', 'needs Tr of calib.txt (sensor to camera).', 'Read calib.txt first.')
    lines = path.read_text(encoding='utf-8').splitlines()
    cameras = np.stack([_matrix(path, number, line) for number, line in enumerate(lines, 1) if line.strip()])
    return np.asarray(np.linalg.inv(calibration['Tr']) @ cameras @ calibration['Tr'], np.float64)


def _matrix(path: Path, number: int, text: str) -> NDArray[np.float64]:
    """Twelve numbers of a line as the upper rows of a (4, 4) matrix."""
    try:
        values = np.array(text.split(), np.float64)
    except ValueError:
        values = np.zeros(0)
    if values.size != 12:
        raise PointReadError(path, 'schema', f'has no 12 numbers in line {number}.', 'Copy it anew.')
    return np.vstack([values.reshape(3, 4), [0, 0, 0, 1]])


LAYOUT = PointLayout(
    'semantickitti', {'single_scan': SINGLE_SCAN}, tuple(SEQUENCES), find, read,
    """  sequences/00/velodyne/000000.bin ...   sequences/00/labels/000000.label ...
  sequences/00/{calib,poses}.txt   to sequence 21 (labels of 00 to 10)""",
)
