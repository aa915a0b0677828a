"""IGN LiDAR HD: airborne tiles of France, ASPRS codes and IGN's own from 64 on."""

from __future__ import annotations

from pathlib import Path

from imbdense.data.points.class_map import ClassMap
from imbdense.data.points.cloud import PointCloud
from imbdense.data.points.layout import PointLayout, Scene, files_below
from imbdense.data.points.layouts.airborne_classes import IGN_DROPPED, IGN_MEMBERS, airborne_map
from imbdense.data.points.read import read_points

CODES = {
    1: 'unclassified', 2: 'ground', 3: 'low vegetation', 4: 'medium vegetation', 5: 'high vegetation', 6: 'building',
    9: 'water', 17: 'bridge deck', 64: 'lasting structure', 65: 'artefact', 66: 'virtual point', 67: 'other built',
}
"""Code of the files -> meaning."""
CLASSES = (
    'ground', 'low vegetation', 'medium vegetation', 'high vegetation', 'building', 'water', 'bridge deck',
    'lasting structure', 'other built',
)
PALETTE = (
    (170, 130, 90), (190, 230, 120), (110, 190, 80), (20, 120, 50), (220, 60, 50), (60, 130, 220), (150, 90, 200),
    (255, 160, 30), (240, 220, 60),
)
OBJECTS = ClassMap(
    CLASSES, PALETTE,
    {1: -1, 2: 0, 3: 1, 4: 2, 5: 3, 6: 4, 9: 5, 17: 6, 64: 7, 65: -1, 66: -1, 67: 8},
)
"""Things on the ground. Unclassified points have no class, artefacts and virtual points (added under bridges and on
water, not measured) are no thing: all three are ignored."""
ALL_CODES = ClassMap(
    tuple(CODES.values()),
    ((150, 150, 150), *PALETTE[:5], PALETTE[5], PALETTE[6], PALETTE[7], (0, 0, 0), (255, 0, 255), PALETTE[8]),
    {code: train for train, code in enumerate(CODES)},
)
"""Every code a class, the longest tail: ground to virtual point is 23,600 to 1 in the small sample."""


def find(root: Path, split: str) -> list[Scene]:
    """``root/<split>/*.laz`` (or .las)."""
    return [Scene(path.stem, path) for path in files_below(root / split, ('.laz', '.las', '.npz'))]


def read(scene: Scene) -> PointCloud:
    """Intensity, return numbers, colours where the point format has them; codes of ``classification``."""
    return read_points(scene.path, semantic='classification')


LAYOUT = PointLayout(
    'ign_lidar_hd',
    {'objects': OBJECTS, 'all_codes': ALL_CODES, 'airborne': airborne_map(IGN_MEMBERS, IGN_DROPPED)},
    ('train', 'val', 'test'), find, read,
    '  train/*.laz   val/*.laz   [test/*.laz]', prepared=True,
)
