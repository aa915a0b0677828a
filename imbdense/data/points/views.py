"""The images that saw a cloud: ``cameras.json`` beside it, ``images/`` and, where there are some, ``depth/``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.points import Sightings, project, sightings
from imbdense.data.points.errors import PointReadError

CAMERAS = 'cameras.json'
CURE = ('Each record of "images" holds file, K (3 x 3), c2w (4 x 4, x right, y down, z forward), width and height, '
        'and may hold dist and pixel_centre; generated clouds have one: `imbdense generate clouds ... --images`.')


@dataclass(frozen=True, eq=False)
class PointView:
    """One image with a pose. ``pixel_centre``: coordinate of the middle of the first pixel, 0.5 in generated scenes, 0
    where a data set counts so (ScanNet)."""

    image: Path
    depth: Path | None
    intrinsics: NDArray[np.float64]
    distortion: tuple[float, float, float, float]
    camera_to_world: NDArray[np.float64]
    size: tuple[int, int]
    pixel_centre: float

    def read_image(self) -> NDArray[np.uint8]:
        """(H, W, 3) RGB."""
        from PIL import Image

        with Image.open(self.image) as image:
            return np.array(image.convert('RGB'))

    def read_depth(self) -> NDArray[np.float32] | None:
        """(H, W) z depth in metres, 0 = nothing; ``None`` without a file."""
        if self.depth is None:
            return None
        if self.depth.suffix == '.npz':
            with np.load(self.depth) as archive:
                return np.asarray(archive['depth'], np.float32)
        return np.asarray(np.load(self.depth), np.float32)

    def sees(self, xyz: NDArray[Any], *, border: int, tolerance: float) -> Sightings:
        """Which of (N, 3) points in the coordinates of the cameras this view sees, see
        :func:`imbdense.core.points.sightings`."""
        uv, depth = project(xyz, self.intrinsics, self.camera_to_world)
        if any(self.distortion):
            from imbdense.data.scene.camera import distort

            k = self.intrinsics
            x, y = distort((uv[:, 0] - k[0, 2]) / k[0, 0], (uv[:, 1] - k[1, 2]) / k[1, 1], self.distortion)
            uv = np.stack([k[0, 0] * x + k[0, 2], k[1, 1] * y + k[1, 2]], 1)
        return sightings(uv - self.pixel_centre, depth, self.size, depth_map=self.read_depth(), border=border,
                         tolerance=tolerance)  # fmt: skip


def read_views(folder: Path) -> Iterator[PointView]:
    """The views of the cloud in ``folder``, in the order of the file.

    Raises:
        PointReadError: no ``cameras.json``, not valid, without images, or an image that is not there.
    """
    path = folder / CAMERAS
    try:
        records = json.loads(path.read_text(encoding='utf-8'))['images']
    except FileNotFoundError as error:
        raise PointReadError(str(path), 'missing', 'does not exist; nobody knows what the images see.', CURE) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PointReadError(str(path), 'unreadable', f'holds no list "images" ({error}).', CURE) from error
    if not records:
        raise PointReadError(str(path), 'empty', 'lists no image.', CURE)
    for record in records:
        yield _view(folder, path, record)


def _view(folder: Path, path: Path, record: dict[str, Any]) -> PointView:
    """One record."""
    try:
        image = folder / str(record['file'])
        k1, k2, p1, p2 = (float(value) for value in record.get('dist', (0, 0, 0, 0)))
        size = (int(record['height']), int(record['width']))
        intrinsics, pose = np.asarray(record['K'], np.float64), np.asarray(record['c2w'], np.float64)
        if intrinsics.shape != (3, 3) or pose.shape != (4, 4):
            raise ValueError(f'K is {intrinsics.shape}, c2w is {pose.shape}')
    except (KeyError, TypeError, ValueError) as error:
        raise PointReadError(str(path), 'schema', f'has a record that is no camera ({error!r}).', CURE) from error
    if not image.is_file():
        raise PointReadError(str(image), 'missing', f'is named in {path} but does not exist.',
                             'Generate the clouds with their images, or copy the images beside the cloud.')
    found = [folder / 'depth' / f'{image.stem}{suffix}' for suffix in ('.npz', '.npy')]
    depth = next((file for file in found if file.is_file()), None)
    return PointView(image, depth, intrinsics, (k1, k2, p1, p2), pose, size, float(record.get('pixel_centre', 0.5)))
