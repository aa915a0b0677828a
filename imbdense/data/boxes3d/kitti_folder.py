"""A folder in the layout of KITTI's object benchmark.

``training/velodyne/000000.bin``, ``training/label_2/000000.txt``, ``training/calib/000000.txt``, and the names of a
split in ``ImageSets/train.txt``. A scene without a label file is an unlabelled one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbdense.data.boxes3d.kitti_calib import KittiCalib, KittiError, camera_to_lidar, read_calib
from imbdense.data.boxes3d.kitti_labels import KittiLabels, read_labels
from imbdense.utils.files import atomic_write_bytes

VALUES = 4
"""x, y, z and the reflectance of every point."""


@dataclass(frozen=True)
class KittiScene:
    """Files of a scene: ``name``, points, labels (may be missing), calibration."""

    name: str
    points: Path
    labels: Path
    calib: Path


def kitti_scenes(root: str | os.PathLike[str], split: str, part: str = 'training') -> list[KittiScene]:
    """The scenes named in ``ImageSets/<split>.txt``, in its order.

    Raises:
        KittiError: the list is missing or empty.
    """
    folder, listed = Path(root) / part, Path(root) / 'ImageSets' / f'{split}.txt'
    try:
        names = listed.read_text(encoding='utf-8').split()
    except OSError as error:
        raise KittiError(
            f'{listed} can not be read ({error.strerror}). It must name the scenes of the split, one a line.'
        ) from error
    if not names:
        raise KittiError(f'{listed} names no scene.')
    return [
        KittiScene(name, folder / 'velodyne' / f'{name}.bin', folder / 'label_2' / f'{name}.txt',
                   folder / 'calib' / f'{name}.txt')
        for name in names
    ]  # fmt: skip


def read_velodyne(path: str | os.PathLike[str]) -> NDArray[np.float32]:
    """Return the points of a ``.bin`` file, (N, 4) float32: x, y, z in metres, reflectance in [0, 1].

    Raises:
        KittiError: it can not be read, is cut off, or holds numbers that are not finite.
    """
    try:
        values = np.fromfile(path, dtype='<f4')
    except OSError as error:
        raise KittiError(f'{path} can not be read ({error.strerror}).') from error
    if values.size % VALUES:
        raise KittiError(f'{path} holds {values.size} numbers, which is no multiple of {VALUES}. Is it cut off?')
    if not np.isfinite(values).all():
        raise KittiError(f'{path} holds numbers that are not finite.')
    return values.reshape(-1, VALUES)


def write_velodyne(path: str | os.PathLike[str], points: NDArray[np.floating]) -> None:
    """Write points (N, 4)."""
    if points.ndim != 2 or points.shape[1] != VALUES:
        raise ValueError(f'write_velodyne: points must be (N, {VALUES}), but are {points.shape}.')
    atomic_write_bytes(path, np.ascontiguousarray(points, dtype='<f4').tobytes())


def scene_objects(scene: KittiScene) -> tuple[KittiLabels, NDArray[np.float64], KittiCalib]:
    """Labels without ``DontCare``, their boxes (G, 7) in the LiDAR, and the calibration."""
    labels, calib = read_labels(scene.labels), read_calib(scene.calib)
    keep = np.array([name != 'DontCare' for name in labels.names], dtype=bool)
    names = tuple(name for name in labels.names if name != 'DontCare')
    scores = None if labels.scores is None else labels.scores[keep]
    kept = KittiLabels(
        names, labels.truncation[keep], labels.occlusion[keep], labels.alpha[keep], labels.image_boxes[keep],
        labels.camera_boxes[keep], scores,
    )  # fmt: skip
    return kept, camera_to_lidar(kept.camera_boxes, calib), calib
