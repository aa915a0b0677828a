"""DALES: 40 tiles of airborne lidar, 500 m each (Varney et al., CVPR Workshops 2020), and DALES Objects."""

from __future__ import annotations

from pathlib import Path

from imbdense.data.points.class_map import ClassMap
from imbdense.data.points.cloud import PointCloud
from imbdense.data.points.layout import PointLayout, Scene, files_below
from imbdense.data.points.read import read_points

CLASSES = ('ground', 'vegetation', 'cars', 'trucks', 'power lines', 'fences', 'poles', 'buildings')
PALETTE = (
    (200, 180, 150), (60, 150, 70), (220, 60, 220), (240, 240, 60), (40, 200, 220), (140, 80, 30), (250, 130, 30),
    (210, 60, 50),
)
OBJECTS = ClassMap(CLASSES, PALETTE, {0: -1, **{code: code - 1 for code in range(1, 9)}})
"""Codes 1 to 8; 0 is unknown and ignored."""
VAL_TILES = ('5145_54340', '5095_54455', '5110_54475')
"""The data set has no validation split; these three of its 29 training tiles are the ones others hold out."""


def find(root: Path, split: str) -> list[Scene]:
    """Tiles of train/ (less the three for validation) and test/; ``trainval`` is all of train/."""
    folder = root / ('test' if split == 'test' else 'train')
    scenes = [Scene(path.stem, path) for path in files_below(folder, ('.ply', '.las', '.laz', '.npz'))]
    if split in ('test', 'trainval'):
        return scenes
    return [scene for scene in scenes if scene.name.startswith(VAL_TILES) == (split == 'val')]


def read(scene: Scene) -> PointCloud:
    """Codes of ``classification`` (.las) or ``sem_class`` (.ply, with instances ``ins_class`` and intensity)."""
    return read_points(scene.path)


LAYOUT = PointLayout(
    'dales', {'objects': OBJECTS}, ('train', 'val', 'trainval', 'test'), find, read,
    '  train/5080_54435*.{ply,las} ... (29 tiles)   test/... (11 tiles)', prepared=True,
)
