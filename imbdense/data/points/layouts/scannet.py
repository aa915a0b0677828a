"""ScanNet: indoor scans, 20 classes (Dai et al., CVPR 2017) or 200 (Rozenberszki et al., ECCV 2022)."""

from __future__ import annotations

import csv
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.points.class_map import ClassMap, spread_colours
from imbdense.data.points.cloud import PointCloud
from imbdense.data.points.errors import PointReadError
from imbdense.data.points.layout import PointLayout, Scene
from imbdense.data.points.layouts.scannet_classes import NYU40, SCANNET200
from imbdense.data.points.read import read_points

STRAY_NYU40 = (50, 149)
"""Two numbers beyond NYU40 that some label files have; ignored."""
LARGEST_ID = 1400
"""Above every ``id`` of the table of categories."""
BENCHMARK20 = ClassMap(
    tuple(NYU40.values()), spread_colours(len(NYU40)),
    {**dict.fromkeys((*range(41), *STRAY_NYU40), -1), **{code: train for train, code in enumerate(NYU40)}},
)
BENCHMARK200 = ClassMap(
    tuple(SCANNET200.values()), spread_colours(len(SCANNET200)),
    {**dict.fromkeys(range(LARGEST_ID), -1), **{code: train for train, code in enumerate(SCANNET200)}},
)
TABLE = 'scannetv2-labels.combined.tsv'
EXPECTED = f"""  scannetv2_{{train,val,test}}.txt   {TABLE}
  scans/scene0000_00/scene0000_00_vh_clean_2.ply   ..._vh_clean_2.labels.ply
                     ..._vh_clean_2.0.010000.segs.json   scene0000_00.aggregation.json
  scans_test/scene0707_00/scene0707_00_vh_clean_2.ply"""


def find(root: Path, split: str) -> list[Scene]:
    """Scenes named in ``scannetv2_<split>.txt``; each is the folder of its files."""
    listing = root / f'scannetv2_{split}.txt'
    if not listing.is_file():
        raise PointReadError(listing, 'missing', 'is not there.', f'Expected layout of scannet:\n{EXPECTED}')
    folder = root / ('scans_test' if split == 'test' else 'scans')
    if not folder.is_dir():
        return []
    names = sorted(listing.read_text(encoding='utf-8').split())
    paths = [folder / name if (folder / name).is_dir() else folder / f'{name}.npz' for name in names]
    lacking = [name for name, path in zip(names, paths) if not path.exists()]
    if lacking:
        problem = f'names {len(lacking)} scans that {folder} does not have, the first is {lacking[0]}.'
        raise PointReadError(listing, 'schema', problem, 'Copy them, or take them out of the list.')
    return [Scene(name, path) for name, path in zip(names, paths)]


def read(scene: Scene) -> PointCloud:
    """Vertices with colours; NYU40 numbers of ``labels.ply`` (0 = none), instances of the aggregation, where there."""
    cloud = _vertices(scene)
    labels = _file(scene, '_vh_clean_2.labels.ply')
    if not labels.is_file():
        return cloud
    semantic = read_points(labels, attributes=(), semantic='label').semantic
    if semantic is None or len(semantic) != len(cloud):
        raise PointReadError(labels, 'truncated', f'has not the {len(cloud)} vertices of its scan.', 'Copy both anew.')
    instance = None
    if _file(scene, '.aggregation.json').is_file():
        instance = _objects(scene, len(cloud))[0]
    return cloud.replace(semantic=semantic, instance=instance)


def read_200(scene: Scene) -> PointCloud:
    """As :func:`read`, with the numbers of column ``id`` of the table of categories, from the aggregation."""
    cloud = _vertices(scene)
    if not _file(scene, '.aggregation.json').is_file():
        return cloud
    instance, names = _objects(scene, len(cloud))
    table = scene.path.parent.parent / TABLE
    if not table.is_file():
        raise PointReadError(table, 'missing', 'is not there.', f'Expected layout of scannet200:\n{EXPECTED}')
    ids = _categories(table, 'id')
    unknown = sorted({name for name in names.values() if name not in ids})
    if unknown:
        raise PointReadError(scene.path, 'labels', f'has objects {unknown} that {TABLE} does not name.', 'Copy both.')
    codes = np.zeros(max(names, default=-1) + 2, np.int64)  # the last entry is for points without object (-1)
    for number, name in names.items():
        codes[number] = ids[name]
    return cloud.replace(semantic=codes[instance], instance=instance)


def _vertices(scene: Scene) -> PointCloud:
    return read_points(_file(scene, '_vh_clean_2.ply'), attributes=('rgb',))


def _file(scene: Scene, ending: str) -> Path:
    return scene.path / f'{scene.path.name}{ending}'


def _objects(scene: Scene, count: int) -> tuple[NDArray[np.int64], dict[int, str]]:
    """Object of every vertex (N,), -1 = none; and the raw category of every object."""
    segments_path, groups_path = _file(scene, '_vh_clean_2.0.010000.segs.json'), _file(scene, '.aggregation.json')
    try:
        segments = np.asarray(_json(segments_path)['segIndices'], np.int64)
        groups = [(int(g['objectId']), str(g['label']), list(g['segments'])) for g in _json(groups_path)['segGroups']]
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, PointReadError):
            raise
        raise PointReadError(groups_path, 'schema', f'or its segs.json has no {error}.', 'Copy both anew.') from error
    if len(segments) != count or (count and segments.min() < 0):
        raise PointReadError(
            segments_path, 'truncated', f'has {len(segments)} segments, but the scan {count} vertices.', 'Copy it anew.'
        )
    owner = np.full(int(segments.max(initial=0)) + 1, -1, np.int64)
    for number, _, members in groups:
        owner[[member for member in members if member < len(owner)]] = number
    return owner[segments], {number: name for number, name, _ in groups}


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise PointReadError(path, 'unreadable', f'cannot be read as JSON ({error}).', 'Copy it anew.') from error


@lru_cache(maxsize=2)
def _categories(table: Path, column: str) -> dict[str, int]:
    """Raw category -> number of a column of the table."""
    with open(table, encoding='utf-8', newline='') as handle:
        rows = list(csv.DictReader(handle, delimiter='\t'))
    try:
        return {row['raw_category']: int(row[column]) for row in rows if row[column]}
    except (KeyError, ValueError) as error:
        raise PointReadError(table, 'schema', f'has no usable column {error}.', 'Copy it anew.') from error


SPLITS = ('train', 'val', 'test')
LAYOUT = PointLayout('scannet', {'benchmark20': BENCHMARK20}, SPLITS, find, read, EXPECTED, prepared=True)
LAYOUT_200 = PointLayout('scannet200', {'benchmark200': BENCHMARK200}, SPLITS, find, read_200, EXPECTED, prepared=True)
