"""Pairs of point clouds: check the download and convert both epochs of every pair to ``.npz``."""

from __future__ import annotations

from typing import Any

from imbdense.data.points.errors import PointReadError
from imbdense.data.points.layout import Scene
from imbdense.data.points.pairs import URB3DCD_LAYOUTS, URB3DCD_STEMS, PairFiles
from imbdense.data.prepare.job import Job, PrepareError
from imbdense.data.prepare.points import SUMMARY, convert_scene, scenes_of_splits
from imbdense.data.prepare.recipe import Recipe

LAYOUT = URB3DCD_LAYOUTS['v2']
CLASSES = LAYOUT.class_map().classes
PALETTE = LAYOUT.class_map().palette


def build_urb3dcd(job: Job) -> None:
    """Convert the pairs of one acquisition once; a file that has changed since is converted anew.

    ``points.json`` holds the pairs of each split and, per file, points and points per code.
    """
    splits = scenes_of_splits(job, LAYOUT)
    missing = [split for split in LAYOUT.splits if split not in splits]
    if missing:
        raise job.error(f'{job.source} holds no pair of {", ".join(missing)}')
    files, records = PairFiles(URB3DCD_STEMS), {}
    for split, found in splits.items():
        points = 0
        for scene in job.each(found, split):
            try:
                first = files.first(scene.path)
            except PointReadError as error:
                raise PrepareError(str(error)) from error
            for path, counts in ((first, False), (scene.path, True)):  # the labels that count are of epoch 2
                record: dict[str, Any] = convert_scene(job, LAYOUT, Scene(scene.name, path), check_codes=counts)
                records[path.relative_to(job.source).with_suffix('').as_posix()] = record
                points += record['points'] if counts else 0
        job.note(f'{split}: {len(found)} pairs, {points:,} points of epoch 2')
    names = {split: [scene.name for scene in found] for split, found in splits.items()}
    job.write_json(SUMMARY, {'layout': 'urb3dcd', 'splits': names, 'scenes': records})


URB3DCD = Recipe(
    'urb3dcd', 'simulated pairs of airborne surveys of Lyon, change at each point, 7 classes',
    'IEEE DataPort, Urb3DCD (free account); one acquisition of version 2 at a time',
    '  Train*/.../<pair>/pointCloud0.ply pointCloud1.ply   Val*/...   Test*/...', build_urb3dcd,
)
