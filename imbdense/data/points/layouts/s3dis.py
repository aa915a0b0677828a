"""S3DIS: six areas of indoor rooms, one text file per object (Armeni et al., CVPR 2016)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from imbdense.data.points.class_map import ClassMap
from imbdense.data.points.cloud import PointCloud, concatenate_clouds
from imbdense.data.points.errors import PointReadError
from imbdense.data.points.layout import PointLayout, Scene
from imbdense.data.points.read import read_points

CLASSES = (
    'ceiling', 'floor', 'wall', 'beam', 'column', 'window', 'door', 'table', 'chair', 'sofa', 'bookcase', 'board',
    'clutter',
)
PALETTE = (
    (200, 220, 240), (150, 200, 130), (90, 130, 190), (250, 190, 120), (190, 190, 40), (140, 90, 80), (250, 150, 150),
    (210, 40, 40), (190, 180, 210), (150, 100, 190), (190, 150, 150), (40, 190, 210), (130, 130, 130),
)
OBJECTS = ClassMap(CLASSES, PALETTE, {code: code for code in range(len(CLASSES))})
"""Codes are positions in CLASSES: the files tell classes by their names."""
OTHER_NAMES = {'stairs': 'clutter', 'staris': 'clutter'}
"""Names that some rooms have; the benchmark counts stairs as clutter. The second is misspelt in the release."""
COLUMNS = ('x', 'y', 'z', 'r', 'g', 'b')
AREAS = tuple(f'Area_{number}' for number in range(1, 7))
TEST_AREA = 'Area_5'
DOUBLED = 'wall_3 (1).txt'
"""A second copy of wall_3 in Area_5/office_36 of the release."""


def find(root: Path, split: str) -> list[Scene]:
    """Rooms: of one area (``area_3``), of all others (``not_area_3``), or of the usual split by area 5."""
    if split in ('train', 'val'):
        split = f'not_{TEST_AREA.lower()}' if split == 'train' else TEST_AREA.lower()
    areas = [area for area in AREAS if (area.lower() == split if not split.startswith('not_') else
                                        f'not_{area.lower()}' != split)]
    rooms = [room for area in areas if (root / area).is_dir() for room in sorted((root / area).iterdir())]
    return [Scene(f'{room.parent.name}/{room.stem}', room) for room in rooms
            if room.suffix == '.npz' or _room_files(room)]


def read(scene: Scene) -> PointCloud:
    """Colours, codes and instances of a room: object after object, by name; without Annotations/ no labels.

    Raises:
        PointReadError: of the reader (the release has a stray byte in Area_5/hallway_6/Annotations/ceiling_1.txt: the
            line is named), or an object of an unknown class.
    """
    files = _room_files(scene.path)
    if files[0].parent == scene.path:
        return read_points(files[0], columns=COLUMNS)
    parts = []
    for number, path in enumerate(files):
        name = path.stem.rsplit('_', 1)[0]
        name = OTHER_NAMES.get(name, name)
        if name not in CLASSES:
            raise PointReadError(path, 'labels', f'is an object of class {name!r}.', f'Known are {", ".join(CLASSES)}.')
        part = read_points(path, columns=COLUMNS)
        labels = np.full(len(part), CLASSES.index(name), np.int64)
        parts.append(part.replace(semantic=labels, instance=np.full(len(part), number, np.int64)))
    return concatenate_clouds(parts)


def _room_files(room: Path) -> list[Path]:
    """Files of the objects of a room, else its one file without labels."""
    objects = sorted(path for path in (room / 'Annotations').glob('*.txt') if path.name != DOUBLED)
    return objects or sorted(room.glob(f'{room.name}.txt'))


LAYOUT = PointLayout(
    's3dis', {'objects': OBJECTS},
    ('train', 'val', *(area.lower() for area in AREAS), *(f'not_{area.lower()}' for area in AREAS)), find, read,
    '  Area_1/office_1/Annotations/chair_1.txt ...   to Area_6 (Stanford3dDataset_v1.2_Aligned_Version)', prepared=True,
)
