"""STPLS3D: aerial photogrammetry, 4 real sites and 62 rendered ones (Chen et al., BMVC 2022)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from imbdense.data.points.class_map import ClassMap
from imbdense.data.points.cloud import PointCloud
from imbdense.data.points.layout import PointLayout, Scene, files_below
from imbdense.data.points.read import read_points
from imbdense.data.points.text import count_columns
from imbdense.data.points.write import write_text

NAMES = (
    'Ground', 'Building', 'LowVegetation', 'MediumVegetation', 'HighVegetation', 'Vehicle', 'Truck', 'Aircraft',
    'MilitaryVehicle', 'Bike', 'Motorcycle', 'LightPole', 'StreetSign', 'Clutter', 'Fence', 'Road', 'unused',
    'Windows', 'Dirt', 'Grass',
)
"""Name of every code 0 to 19; no file has 16. Ground of unknown material is 0 instead of 15, 18 or 19."""
COLOURS = (
    (160, 140, 120), (220, 60, 50), (190, 230, 120), (110, 190, 80), (20, 120, 50), (60, 90, 220), (40, 160, 230),
    (240, 240, 90), (90, 90, 40), (250, 120, 200), (180, 60, 160), (255, 160, 30), (255, 220, 0), (120, 60, 160),
    (140, 80, 30), (110, 110, 110), (0, 0, 0), (130, 210, 230), (190, 150, 90), (130, 170, 60),
)
SIX = ('ground', 'building', 'tree', 'car', 'light/sign', 'fence')
SIX_COLOURS = (COLOURS[0], COLOURS[1], COLOURS[4], COLOURS[5], COLOURS[11], COLOURS[14])
_SIX_CODES = {
    0: (0, 15, 16, 18, 19), 1: (1, 17), 2: (2, 3, 4), 3: (5, 6, 8), 4: (11, 12), 5: (14,),
}
_NO_BUILDINGS = (7, 9, 10, 13)
"""Aircraft, bikes, motorcycles and clutter: the published benchmark calls them building."""
_CLEAN = {code: train for train, codes in _SIX_CODES.items() for code in codes}
CLASS_MAPS = {
    'benchmark6': ClassMap(SIX, SIX_COLOURS, {**_CLEAN, **dict.fromkeys(_NO_BUILDINGS, 1)}),
    'clean6': ClassMap(SIX, SIX_COLOURS, {**_CLEAN, **dict.fromkeys(_NO_BUILDINGS, -1)}),
    'raw20': ClassMap(NAMES, COLOURS, {code: code for code in range(20)}),
    'instance14': ClassMap(
        NAMES[:15], COLOURS[:15], {code: code if code < 15 else -1 for code in range(20)}
    ),
}
"""``benchmark6``: the published semantic benchmark, for comparison with its tables. ``clean6``: the same without its
false buildings, which are ignored. ``raw20``: every code. ``instance14``: of the instance benchmark: ground, which has
no instances (train id 0), and 14 classes of things (1 to 14); windows and ground of known material are ignored."""
COLUMNS = ('x', 'y', 'z', 'r', 'g', 'b', 'semantic', 'instance')
"""Of the text files; real and version 1 files end after semantic, the test files of the competition after b."""

REAL, TEST_SITE = 'RealWorldData', 'WMSC'
SYNTHETIC = ('Synthetic_v1', 'Synthetic_v2', 'Synthetic_v3')
INSTANCES = 'Synthetic_v3_InstanceSegmentation'
INSTANCE_VAL, INSTANCE_TEST = (5, 10, 15, 20, 25), (26, 27, 28)
SPLITS = (
    'train', 'real_train', 'synthetic', 'synthetic_v1', 'synthetic_v2', 'synthetic_v3', 'test', 'instance_train',
    'instance_val', 'instance_test',
)


def find(root: Path, split: str) -> list[Scene]:
    """Scenes of a split: semantic by site and version, instances by the number of the cloud."""
    if split.startswith('instance_'):
        folder = root / INSTANCES if (root / INSTANCES).is_dir() else root / SYNTHETIC[2]
        return [scene for scene in _in(folder) if instance_split(scene.path) == split]
    if split == 'synthetic_v3' and not (root / SYNTHETIC[2]).is_dir():
        return [scene for scene in _in(root / INSTANCES) if instance_split(scene.path) != 'instance_test']
    real = _in(root / REAL)
    if split == 'test':
        return [scene for scene in real if scene.path.name.startswith(TEST_SITE)]
    if split == 'real_train':
        return [scene for scene in real if not scene.path.name.startswith(TEST_SITE)]
    if split in ('train', 'synthetic'):
        parts = ('real_train',) if split == 'train' else ()
        return [scene for part in (*parts, *(v.lower() for v in SYNTHETIC)) for scene in find(root, part)]
    return _in(root / split.replace('synthetic', 'Synthetic'))


def instance_split(path: Path) -> str:
    """The split of the instance benchmark: by the number that the name begins with."""
    found = re.match(r'\d+', path.name)
    number = int(found.group()) if found else 0
    if number in INSTANCE_VAL:
        return 'instance_val'
    return 'instance_test' if number in INSTANCE_TEST else 'instance_train'


def read(scene: Scene) -> PointCloud:
    """Colours, codes 0 to 19, instances (-100 of the file, ground and whatever has none, is -1)."""
    if scene.path.suffix.lower() == '.ply':
        return read_points(scene.path)
    return read_points(scene.path, columns=COLUMNS[: min(count_columns(scene.path), len(COLUMNS))])


def write(path: Path, cloud: PointCloud) -> None:
    """Write a cloud with colours, codes and instances as the text files of the data set: no header row, -100 = none."""
    instance = None if cloud.instance is None else np.where(cloud.instance < 0, -100, cloud.instance)
    columns = COLUMNS if instance is not None else COLUMNS[:-1]
    write_text(path, cloud.replace(instance=instance), columns=columns, header=False)


def _in(folder: Path) -> list[Scene]:
    """Every cloud of a folder, called folder/file so that names of the versions do not meet."""
    return [Scene(f'{folder.name}/{path.stem}', path) for path in files_below(folder, ('.ply', '.txt', '.npz'))]


LAYOUT = PointLayout(
    'stpls3d', CLASS_MAPS, SPLITS, find, read,
    """  RealWorldData/{OCCC,RA,USC,WMSC}_points.ply   (WMSC is the test site)
  Synthetic_v1/*.ply   Synthetic_v2/*.ply   Synthetic_v3/*.ply
  [Synthetic_v3_InstanceSegmentation/1_points_GTv3.txt ... 25_points_GTv3.txt (val: 5, 10, 15, 20, 25; test: 26-28)]
(.ply or .txt with x,y,z,r,g,b,semantic[,instance])""", prepared=True,
)
