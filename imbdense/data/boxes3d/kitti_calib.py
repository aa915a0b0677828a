"""Calibration of a KITTI scene: between the LiDAR, the rectified camera and the image."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbdense.utils.files import atomic_write_text

Floats = NDArray[np.float64]
_KEYS = {'P2': (3, 4), 'R0_rect': (3, 3), 'Tr_velo_to_cam': (3, 4)}


class KittiError(ValueError):
    """A file of a KITTI folder is missing or damaged; the message names it and what is wrong."""


@dataclass(frozen=True, eq=False)
class KittiCalib:
    """Matrices of a scene, float64.

    Attributes:
        projection: (3, 4) P2, rectified camera -> pixels of the left colour image.
        rectify: (3, 3) R0_rect. to_camera: (3, 4) Tr_velo_to_cam. The camera looks along z, x is right, y is down; the
            LiDAR has x ahead, y left, z up.
    """

    projection: Floats
    rectify: Floats
    to_camera: Floats

    @property
    def lidar_to_rect(self) -> Floats:
        """(4, 4)."""
        rotation, motion = np.eye(4), np.eye(4)
        rotation[:3, :3], motion[:3] = self.rectify, self.to_camera
        return rotation @ motion

    def to_rect(self, points: Floats) -> Floats:
        """(N, 3) LiDAR points in the rectified camera."""
        matrix = self.lidar_to_rect
        moved: Floats = points @ matrix[:3, :3].T + matrix[:3, 3]
        return moved

    def to_lidar(self, points: Floats) -> Floats:
        """(N, 3) points of the rectified camera in the LiDAR."""
        matrix = np.linalg.inv(self.lidar_to_rect)
        moved: Floats = points @ matrix[:3, :3].T + matrix[:3, 3]
        return moved


def read_calib(path: str | os.PathLike[str]) -> KittiCalib:
    """Read a ``calib`` file.

    Raises:
        KittiError: it is missing, or a matrix is missing or of another size.
    """
    try:
        lines = Path(path).read_text(encoding='utf-8').splitlines()
    except OSError as error:
        raise KittiError(f'{path} can not be read ({error.strerror}).') from error
    entries = dict(line.split(':', 1) for line in lines if ':' in line)
    return KittiCalib(*(_matrix(entries, key, path) for key in _KEYS))


def write_calib(path: str | os.PathLike[str], calib: KittiCalib) -> None:
    """Write a ``calib`` file with the three matrices."""
    rows = zip(_KEYS, (calib.projection, calib.rectify, calib.to_camera))
    text = ''.join(f'{key}: {" ".join(f"{value:.12e}" for value in matrix.ravel())}\n' for key, matrix in rows)
    atomic_write_text(path, text)


def camera_to_lidar(boxes: Floats, calib: KittiCalib) -> Floats:
    """Return LiDAR boxes (x, y, z of the centre, l, w, h, yaw) of camera boxes (x, y, z of the bottom's centre, h, w,
    l, rotation about the camera's downward axis) as label files have them, (N, 7).

    As everywhere with KITTI, only the heading is turned: the camera is taken as upright, ``yaw = -rotation - pi/2``.
    """
    rows = np.asarray(boxes, dtype=np.float64).reshape(-1, 7)
    centre = calib.to_lidar(rows[:, :3])
    centre[:, 2] += rows[:, 3] / 2
    yaw = _limit(-rows[:, 6] - np.pi / 2)
    return np.column_stack([centre, rows[:, 5], rows[:, 4], rows[:, 3], yaw])


def lidar_to_camera(boxes: Floats, calib: KittiCalib) -> Floats:
    """Return the camera boxes of LiDAR boxes; undoes :func:`camera_to_lidar`."""
    rows = np.asarray(boxes, dtype=np.float64).reshape(-1, 7)
    bottom = rows[:, :3].copy()
    bottom[:, 2] -= rows[:, 5] / 2
    yaw = _limit(-rows[:, 6] - np.pi / 2)
    return np.column_stack([calib.to_rect(bottom), rows[:, 5], rows[:, 4], rows[:, 3], yaw])


def image_boxes(boxes: Floats, calib: KittiCalib) -> Floats:
    """Return the boxes in the image round LiDAR boxes, (N, 4) x1, y1, x2, y2 in pixels, not cut at the border.

    Corners behind the camera are moved to 0.1 m before it.
    """
    rows = np.asarray(boxes, dtype=np.float64).reshape(-1, 7)
    signs = np.array([[x, y, z] for x in (1, -1) for y in (1, -1) for z in (1, -1)], dtype=np.float64) / 2
    local = signs[None] * rows[:, None, 3:6]
    cosine, sine = np.cos(rows[:, 6])[:, None], np.sin(rows[:, 6])[:, None]
    turned = np.stack(
        [local[..., 0] * cosine - local[..., 1] * sine, local[..., 0] * sine + local[..., 1] * cosine, local[..., 2]],
        axis=-1,
    )
    camera = calib.to_rect((turned + rows[:, None, :3]).reshape(-1, 3))
    camera[:, 2] = np.maximum(camera[:, 2], 0.1)
    seen = camera @ calib.projection[:, :3].T + calib.projection[:, 3]
    pixels = (seen[:, :2] / seen[:, 2:]).reshape(-1, 8, 2)
    return np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1)


def _limit(angle: Floats) -> Floats:
    """Into [-pi, pi)."""
    limited: Floats = (angle + np.pi) % (2 * np.pi) - np.pi
    return limited


def _matrix(entries: Mapping[str, str], key: str, path: str | os.PathLike[str]) -> Floats:
    """One matrix of a calib file."""
    shape = _KEYS[key]
    try:
        values = np.array(entries[key].split(), dtype=np.float64)
        return values.reshape(shape)
    except (KeyError, ValueError) as error:
        raise KittiError(f'{path}: {key} must be {shape[0] * shape[1]} numbers, but {error}.') from error
