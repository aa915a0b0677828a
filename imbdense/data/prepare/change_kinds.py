"""A data set of pairs once more, with kinds of change in its change maps: for direct multi-class change detection."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbdense.data.change.kinds import KindTable, kind_table
from imbdense.data.change.layout import (
    CHANGE_FOLDER,
    IMAGE_FOLDERS,
    LAND_COVER_FOLDERS,
    RECORD,
    change_label_map,
    read_pair_record,
)
from imbdense.data.change.pairs import PairFiles, PairFolders, list_pairs
from imbdense.data.change.transitions import count_transitions
from imbdense.data.prepare.job import IGNORE, Job, PrepareError
from imbdense.data.prepare.recipe import Recipe
from imbdense.data.readers.errors import LabelReadError
from imbdense.data.readers.labels import LabelFormat, read_label
from imbdense.utils.overlay import distinct_colours

LAYOUT = """  t1/ t2/ label_change/ label_t1/ label_t2/ splits/ dataset.json (with land_cover)
  as `imbdense prepare` writes pairs"""


def change_kinds_recipe(by: str, names: Sequence[str] = ()) -> Recipe:
    """The recipe for kinds by a rule of :func:`imbdense.data.change.kinds.kind_table`."""
    return Recipe(
        f'change_kinds ({by})', 'kinds of change from the land cover of both dates', 'another recipe of pairs', LAYOUT,
        partial(_build, by=by, names=names), sheet=False,
    )


def _build(job: Job, by: str, names: Sequence[str]) -> None:
    """Images, land cover and splits are linked; change maps are made anew."""
    try:
        record = read_pair_record(job.source)
        if not record.get('land_cover'):
            raise job.error(f'{job.source / RECORD} names no land_cover')
        images, covers = (tuple(str(job.need(part)) for part in parts) for parts in (IMAGE_FOLDERS, LAND_COVER_FOLDERS))
        folders = PairFolders(images, str(job.need(CHANGE_FOLDER)), covers)
        pairs = list_pairs(folders)
        cover_format = LabelFormat.of(tuple(map(str, record['land_cover'])))
        change_format = LabelFormat.of(tuple(record.get('classes') or ('unchanged', 'changed')),
                                       label_map=change_label_map(None))
        found = count_transitions(pairs, change_format, cover_format, root=folders.change)
        table = kind_table(by, cover_format.classes, found.present.tolist(), names)
    except (ValueError, OSError) as error:
        raise error if isinstance(error, PrepareError) else PrepareError(str(error)) from error
    for name in (*IMAGE_FOLDERS, *LAND_COVER_FOLDERS, 'splits'):
        job.place(job.need(name), name)
    palette = [(0, 0, 0), *distinct_colours(len(table.names) - 1)]
    pixels = np.zeros(256, np.int64)
    for pair in job.each(pairs, 'pairs'):
        pixels += _write(job, pair, folders, change_format, cover_format, table, palette)
    total = int(pixels[1:IGNORE].sum())
    for kind in np.argsort(-pixels[1 : len(table.names)], kind='stable') + 1:
        share = 100 * pixels[kind] / max(total, 1)
        job.note(f'{table.names[kind]}: {pixels[kind]} pixels, {share:.3g} % of the change')
    facts = {**record, 'classes': list(table.names), 'palette': [list(colour) for colour in palette],
             'ignore_index': IGNORE, 'kinds_by': by}
    job.write_json(RECORD, facts)


def _write(
    job: Job, pair: PairFiles, folders: PairFolders, change_format: LabelFormat, cover_format: LabelFormat,
    table: KindTable, palette: Sequence[Sequence[int]],
) -> NDArray[np.int64]:
    """The map of one pair; its pixels by value."""
    path = Path(str(pair.change))
    target = f'{CHANGE_FOLDER}/{path.relative_to(str(folders.change)).with_suffix(".png")}'
    try:
        change = read_label(path, change_format)
        covers = [read_label(cover, cover_format) for cover in pair.land_cover]
    except LabelReadError as error:
        raise PrepareError(str(error)) from error
    kinds = table.kinds(change, covers)
    if not job.done(target):
        job.write_label(target, kinds, palette)
    return np.bincount(kinds.ravel(), minlength=256)
