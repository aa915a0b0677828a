"""Point data sets: check the download and convert every scene to ``.npz``, which loads many times faster than text,
packed LAS or many small files. The output has the layout of the source, so the same data set class reads both."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from imbdense.data.points.errors import PointReadError
from imbdense.data.points.layout import PointLayout, Scene
from imbdense.data.points.layouts import point_layout
from imbdense.data.points.write import write_points
from imbdense.data.prepare.job import Job, PrepareError, read_json
from imbdense.data.prepare.recipe import Recipe
from imbdense.utils.files import atomic_write_bytes

SUMMARY = 'points.json'
STATE = '.prepare'


def build(job: Job, name: str, needed: Sequence[str], kept: Sequence[str] = ()) -> None:
    """Convert every scene of every split once; a scene whose files have changed since is converted anew.

    ``needed`` must be there; ``kept`` are small files that are copied where they are. ``points.json`` holds splits,
    points and points per code.
    """
    layout = point_layout(name)
    for part in needed:
        job.need(part)
    for part in kept:
        if (job.source / part).is_file() and not job.done(part):
            atomic_write_bytes(job.out / part, (job.source / part).read_bytes())
    splits = scenes_of_splits(job, layout)
    scenes = {scene.name: scene for found in splits.values() for scene in found}
    records: dict[str, Any] = {}
    for scene in job.each(sorted(scenes.values(), key=lambda item: item.name), 'scenes'):
        records[scene.name] = convert_scene(job, layout, scene)
    names = {split: [scene.name for scene in found] for split, found in splits.items()}
    job.write_json(SUMMARY, {'layout': name, 'splits': names, 'scenes': records})
    for split, found in names.items():
        points = sum(records[scene]['points'] for scene in found)
        unlabelled = sum(not records[scene]['codes'] for scene in found)
        job.note(f'{split}: {len(found)} scenes, {points:,} points' + (f', {unlabelled} unlabelled' * bool(unlabelled)))


def scenes_of_splits(job: Job, layout: PointLayout) -> dict[str, list[Scene]]:
    """Scenes of the splits that are there."""
    found = {}
    for split in layout.splits:
        try:
            found[split] = layout.scenes(job.source, split)
        except PointReadError as error:
            if error.code != 'missing':
                raise PrepareError(str(error)) from error
    if not found:
        raise job.error(f'{job.source} holds no scene')
    return found


def convert_scene(job: Job, layout: PointLayout, scene: Scene, *, check_codes: bool = True) -> dict[str, Any]:
    """Write one scene; return what is known of it: fingerprint, points, points per code.

    ``check_codes``: a code that the usual class map does not name is an error.
    """
    relative = scene.path.relative_to(job.source)
    relative = relative if scene.path.is_dir() else relative.with_suffix('')
    target, state = Path(f'{relative}.npz'), Path(STATE) / f'{relative}.json'
    key = fingerprint(scene.path)
    if job.done(str(target)) and job.done(str(state)):
        before: dict[str, Any] = read_json(job.out / state)
        if before.get('fingerprint') == key:
            return before
    try:
        cloud = layout.cloud(scene)
        codes = _counted(cloud.semantic)
        if cloud.semantic is not None and check_codes:
            layout.class_map().apply(cloud.semantic, owner=str(scene.path))
    except (PointReadError, OSError) as error:
        raise PrepareError(str(error)) from error
    write_points(job.out / target, cloud)
    record = {'fingerprint': key, 'points': len(cloud), 'codes': {str(code): count for code, count in codes.items()}}
    job.write_json(str(state), record)
    return record


def fingerprint(path: Path) -> str:
    """32 hex digits that change with name, size or time of any file of a scene (a file, or a folder of files)."""
    files = sorted(item for item in path.rglob('*') if item.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for item in files:
        state = item.stat()
        digest.update(f'{item.relative_to(path.parent)}\0{state.st_size}\0{state.st_mtime_ns}\0'.encode())
    return digest.hexdigest()[:32]


def _counted(semantic: Any) -> dict[int, int]:
    """Code -> points; empty without labels."""
    if semantic is None:
        return {}
    codes, counts = np.unique(semantic, return_counts=True)
    return dict(zip(codes.tolist(), counts.tolist()))


def build_semantickitti(job: Job) -> None:
    """Scans load fast as they are: every label file is checked against its scan, and ``sequences/`` is linked."""
    layout = point_layout('semantickitti')
    job.need('sequences')
    for split, found in scenes_of_splits(job, layout).items():
        lacking = 0
        for scene in job.each(found, split):
            labels = scene.path.parent.parent / 'labels' / f'{scene.path.stem}.label'
            if not labels.is_file():
                lacking += 1
            elif labels.stat().st_size * 4 != scene.path.stat().st_size:
                raise PrepareError(f'{labels} does not fit {scene.path} (4 bytes per point of 16). Copy both anew.')
        if lacking and split != 'test':
            raise job.error(f'{lacking} of {len(found)} scans of {split} have no label file')
        job.note(f'{split}: {len(found)} scans')
    job.place(job.source / 'sequences', 'sequences')


def _recipe(name: str, summary: str, home: str, run: Callable[[Job], None]) -> Recipe:
    return Recipe(name, summary, home, point_layout(name).expected, run)


STPLS3D = _recipe(
    'stpls3d', 'aerial photogrammetry as points, 4 real sites and 62 rendered ones, 18 codes, 6 or 14 classes',
    'the STPLS3D project page (data on request by a form)', partial(build, name='stpls3d', needed=['RealWorldData']),
)
S3DIS = _recipe(
    's3dis', 'indoor rooms as points, 6 areas, 13 classes, instances', 'the S3DIS page of Stanford (by a form)',
    partial(build, name='s3dis', needed=[f'Area_{number}' for number in range(1, 7)]),
)
SCANNET_LISTS = ('scannetv2_train.txt', 'scannetv2_val.txt', 'scannetv2_test.txt')
SCANNET = _recipe(
    'scannet', 'indoor scans as points, 1,513 scans, 20 classes, instances', 'the ScanNet project page (on request)',
    partial(build, name='scannet', needed=['scans', *SCANNET_LISTS[:2]], kept=SCANNET_LISTS),
)
SCANNET200 = _recipe(
    'scannet200', 'ScanNet with 200 classes, the long-tail set of indoor scans',
    'the ScanNet project page (on request)',
    partial(
        build, name='scannet200', needed=['scans', 'scannetv2-labels.combined.tsv', *SCANNET_LISTS[:2]],
        kept=SCANNET_LISTS,
    ),
)
TORONTO3D = _recipe(
    'toronto3d', 'a kilometre of road by mobile lidar, 4 sections, 8 classes',
    'the Toronto-3D repository of WeikaiTan on GitHub',
    partial(build, name='toronto3d', needed=[f'L00{number}.ply' for number in range(1, 5)]),
)
DALES = _recipe(
    'dales', 'airborne lidar, 40 tiles of 500 m, 8 classes; instances in DALES Objects',
    'the DALES page of the University of Dayton (by a form)', partial(build, name='dales', needed=['train', 'test']),
)
SEMANTICKITTI = _recipe(
    'semantickitti', 'scans of a turning lidar on a car, 22 sequences, 19 classes',
    'the SemanticKITTI and KITTI odometry pages', build_semantickitti,
)
IGN_LIDAR_HD = _recipe(
    'ign_lidar_hd', 'airborne lidar of France, 6 small tiles, 9 classes (12 codes), imbalance above 1,000',
    'test/data of IGNF/ign-pdal-tools on GitHub (samples), or the LiDAR HD pages of IGN',
    partial(build, name='ign_lidar_hd', needed=['train', 'val']),
)
