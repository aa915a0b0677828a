"""Generated clouds of aerial scenes, as ``imbdense generate clouds`` writes them; codes are those of STPLS3D."""

from __future__ import annotations

from pathlib import Path

from imbdense.data.points.class_map import IGNORED, ClassMap
from imbdense.data.points.cloud import PointCloud
from imbdense.data.points.layout import PointLayout, Scene
from imbdense.data.points.layouts import stpls3d
from imbdense.data.points.layouts.airborne_classes import GENERATED_MEMBERS, airborne_map
from imbdense.data.points.read import read_points
from imbdense.data.scene.classes import MAPPINGS, ClassMapping

SPLITS = ('train', 'val')


def class_map(mapping: ClassMapping) -> ClassMap:
    """The mapping of images as one of points: codes it does not name are ignored."""
    named = {raw: train for train, codes in enumerate(mapping.members) for raw in codes}
    return ClassMap(mapping.classes, mapping.palette, {code: named.get(code, IGNORED) for code in range(20)})


CLASS_MAPS = {
    'clean6': stpls3d.CLASS_MAPS['clean6'], 'benchmark6': stpls3d.CLASS_MAPS['benchmark6'],
    'aerial': class_map(MAPPINGS['aerial']), 'full': class_map(MAPPINGS['full']),
    'instance14': stpls3d.CLASS_MAPS['instance14'], 'airborne': airborne_map(GENERATED_MEMBERS),
}  # fmt: skip
"""As for STPLS3D, and ``aerial``: ten classes with the rare ones kept apart; ``full``: every class of the generator;
``airborne``: the six it shares with IGN LiDAR HD (:mod:`~imbdense.data.points.layouts.airborne_classes`)."""


def find(root: Path, split: str) -> list[Scene]:
    """The clouds that ``splits/<split>.txt`` names, one path below the root per line."""
    listing = root / 'splits' / f'{split}.txt'
    if not listing.is_file():
        return []
    paths = [root / line for line in listing.read_text(encoding='utf-8').splitlines() if line.strip()]
    return [Scene(path.parent.name, path) for path in sorted(paths)]


def read(scene: Scene) -> PointCloud:
    """Colours or echoes, codes 0 to 19, instances of things and buildings."""
    return stpls3d.read(scene) if scene.path.suffix == '.txt' else read_points(scene.path)


LAYOUT = PointLayout(
    'aerial_scenes', CLASS_MAPS, SPLITS, find, read,
    """  splits/train.txt   splits/val.txt   (one path of a cloud per line)
  scenes/scene_000/cloud.npz ...
made by `imbdense generate clouds --out <folder>`""",
)
