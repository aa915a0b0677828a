"""Toronto-3D: a kilometre of road by mobile lidar, four sections (Tan et al., CVPR Workshops 2020)."""

from __future__ import annotations

from pathlib import Path

from imbdense.data.points.class_map import ClassMap
from imbdense.data.points.cloud import PointCloud
from imbdense.data.points.layout import PointLayout, Scene, files_below
from imbdense.data.points.read import read_points

CLASSES = ('road', 'road marking', 'natural', 'building', 'utility line', 'pole', 'car', 'fence')
PALETTE = (
    (120, 110, 110), (250, 250, 120), (60, 160, 70), (220, 70, 60), (40, 200, 220), (250, 160, 30), (60, 90, 220),
    (140, 80, 30),
)
OBJECTS = ClassMap(CLASSES, PALETTE, {0: -1, **{code: code - 1 for code in range(1, 9)}})
"""Codes 1 to 8; 0 is unclassified and ignored."""
TEST = 'L002'


def find(root: Path, split: str) -> list[Scene]:
    """L001, L003, L004 to train; L002 to test, which is the only section for validation too."""
    scenes = [Scene(path.stem, path) for path in files_below(root, ('.ply', '.npz')) if path.stem.startswith('L00')]
    return [scene for scene in scenes if (scene.name == TEST) != (split == 'train')]


def read(scene: Scene) -> PointCloud:
    """Colours, ``scalar_Intensity`` and the other scalars; codes of ``scalar_Label``. Coordinates are UTM (double)."""
    return read_points(scene.path, semantic='scalar_Label')


LAYOUT = PointLayout(
    'toronto3d', {'objects': OBJECTS}, ('train', 'val', 'test'), find, read,
    '  L001.ply  L002.ply  L003.ply  L004.ply', prepared=True,
)
