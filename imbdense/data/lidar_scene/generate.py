"""Write generated LiDAR scenes as a folder in the layout of KITTI."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from imbdense.core.checks import check_integer
from imbdense.data.boxes3d import (
    KittiCalib,
    KittiLabels,
    image_boxes,
    kitti_scenes,
    lidar_to_camera,
    write_calib,
    write_labels,
    write_velodyne,
)
from imbdense.data.claim import claimed
from imbdense.data.lidar_scene.setup import LidarSetup
from imbdense.data.lidar_scene.world import LidarScan, make_scan
from imbdense.data.scene.partial import exclusive
from imbdense.utils.files import atomic_write_json, atomic_write_text

MANIFEST = 'lidar_scenes.json'
FOCAL = 720.0
CALIB = KittiCalib(
    np.array([[FOCAL, 0, 620, 0], [0, FOCAL, 190, 0], [0, 0, 1, 0]], dtype=np.float64), np.eye(3),
    np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0]], dtype=np.float64),
)  # fmt: skip
"""A camera at the place of the sensor."""
OCCLUSION = (0.7, 0.35)
"""Visible shares from which an object is fully (0) and partly (1) visible; below it is largely occluded (2)."""


def generate_lidar_scenes(
    root: str | Path, setup: LidarSetup, splits: Mapping[str, int], seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Generate scenes into a new folder; one that was made of the same is left as it is, a broken run goes on.

    Scene i depends on (seed, i) alone. Layout: see :mod:`imbdense.data.boxes3d`, and ``lidar_scenes.json``, written
    last, with the setup and the number of objects of each class in every split.

    Args:
        root: folder. setup: the domain.
        splits: name -> number of scenes, for example ``{'train': 40, 'val': 20}``; numbered one after the other.
        progress: called with (scenes done, scenes).

    Returns:
        The content of ``lidar_scenes.json``.

    Raises:
        OtherDataError: the folder holds scenes of something else.
        FileWriteError: the folder cannot be written, or another process is generating into it.
    """
    folder = Path(root)
    numbers = {name: check_integer(f'splits[{name!r}]', size, low=1) for name, size in splits.items()}
    asked = {'seed': check_integer('seed', seed, low=0), 'splits': dict(numbers), 'setup': setup.to_dict()}
    with exclusive(folder), claimed(folder, asked, 'training/label_2/*.txt', MANIFEST):
        if not (folder / MANIFEST).is_file():
            counts = _write_scenes(folder, setup, numbers, seed, progress)
            atomic_write_json(folder / MANIFEST, {**asked, 'objects': counts})
        return dict(json.loads((folder / MANIFEST).read_text(encoding='utf-8')))


def _write_scenes(
    folder: Path, setup: LidarSetup, splits: Mapping[str, int], seed: int, progress: Callable[[int, int], None] | None
) -> dict[str, dict[str, int]]:
    """Write the scans and labels of all splits; objects of each class in every split."""
    for part in ('velodyne', 'label_2', 'calib'):
        (folder / 'training' / part).mkdir(parents=True, exist_ok=True)
    counts, first, total = {}, 0, sum(splits.values())
    for split, size in splits.items():
        names = [f'{number:06d}' for number in range(first, first + size)]
        atomic_write_text(folder / 'ImageSets' / f'{split}.txt', '\n'.join(names) + '\n')
        found = np.zeros(len(setup.classes), np.int64)
        for number, scene in enumerate(kitti_scenes(folder, split), start=first):
            scan = make_scan(setup, np.random.default_rng([seed, number]))
            found += np.bincount(scan.labels, minlength=len(setup.classes))
            write_velodyne(scene.points, scan.points)
            write_calib(scene.calib, CALIB)
            write_labels(scene.labels, scan_labels(scan, setup))
            if progress is not None:
                progress(number + 1, total)
        counts[split] = {kind.name: int(count) for kind, count in zip(setup.classes, found)}
        first += size
    return counts


def scan_labels(scan: LidarScan, setup: LidarSetup) -> KittiLabels:
    """The objects of a scan as a label file has them."""
    occlusion = np.where(scan.visible >= OCCLUSION[0], 0, np.where(scan.visible >= OCCLUSION[1], 1, 2))
    camera = lidar_to_camera(scan.boxes, CALIB)
    alpha = camera[:, 6] - np.arctan2(camera[:, 0], camera[:, 2])
    names = tuple(setup.classes[label].name for label in scan.labels)
    return KittiLabels(
        names, np.zeros(len(names)), occlusion.astype(np.int64), alpha, image_boxes(scan.boxes, CALIB), camera
    )  # fmt: skip
