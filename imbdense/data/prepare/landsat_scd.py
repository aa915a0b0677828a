"""Landsat-SCD: semantic change, 4 land covers, transitions as ids; without the augmented copies in the download."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbdense.data.change.labels import ColorMapToIndex, split_change_only, transitions_to_dates
from imbdense.data.prepare.job import IGNORE, Job, PrepareError
from imbdense.data.prepare.pairs import PairOutput
from imbdense.data.prepare.pixels import ids_to_index, read_image
from imbdense.data.prepare.recipe import Recipe
from imbdense.data.readers.errors import LabelReadError

CLASSES = ('farmland', 'desert', 'building', 'water')
PALETTE = ((0, 155, 0), (255, 165, 0), (230, 30, 100), (0, 170, 240))
COLOURS = ColorMapToIndex(((255, 255, 255), *PALETTE))
TRANSITIONS = {1: (1, 2), 2: (1, 3), 3: (2, 1), 4: (2, 3), 5: (2, 4), 6: (3, 1), 7: (3, 2), 8: (4, 1), 9: (4, 2)}
"""Id -> (land cover before, after), counted from 1."""
AUGMENTED = ('rotate', 'Crop', 'ZheDang', 'Zhedang')
"""Names with one of these are made from other pairs: the same place would be in training and test."""
SHARES = {'train': 0.6, 'val': 0.2, 'test': 0.2}


def build(job: Job) -> None:
    """Pixels that are white at both dates are ignored; splits as shipped (sub-folders), else drawn 60 : 20 : 20."""
    output = PairOutput(job, CLASSES, PALETTE)
    parts = [part for part in SHARES if (job.source / part / 'A').is_dir()] or ['']
    for part in parts:
        found = job.need_files(job.need(part, 'A'), '*.png')
        images = [path for path in found if not any(word in path.name for word in AUGMENTED)]
        if len(images) < len(found):
            job.note(f'{part or "all"}: {len(found) - len(images)} augmented copies are left out')
        drawn = dict(zip((path.stem for path in images), _draw(len(images))))
        for path in job.each(images, part or 'pairs'):
            name = f'{part}/{path.stem}' if part else path.stem
            output.add(part or drawn[name], name)
            after = job.need(part, 'B', path.name)
            size = output.place(name, [path, after])
            if not output.done(name):
                change, first, second, pixels = split_change_only(*_read(job, part, path.name))
                if change.shape == size:
                    white = np.logical_and(*((read_image(image) == 255).all(axis=2) for image in (path, after)))
                    for label in (change, first, second):
                        label[white] = IGNORE
                output.note_fault(name, pixels)
                output.write_labels(name, change, (first, second), size)
    output.report_faults('the labels of the two dates disagree about what changed')
    output.finish()


def _draw(number: int) -> list[str]:
    """A split per pair, in the order of the names, always the same."""
    ends = np.round(np.cumsum([*SHARES.values()]) * number).astype(int)
    names = np.repeat([*SHARES], np.diff([0, *ends]))
    return [str(name) for name in np.random.default_rng(0).permutation(names)]


def _read(job: Job, part: str, name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Labels of both dates, 0 unchanged: from transition ids, or from the re-pack with a label per date."""
    try:
        if (job.source / part / 'label').is_dir():
            path = job.need(part, 'label', name)
            raw = read_image(path, grey=True)
            if raw.ndim != 2:
                raise PrepareError(f'{path} has three channels; the ids of transitions (0 to 9) were expected.')
            return transitions_to_dates(raw, TRANSITIONS, path)
        return _date(job, part, 'labelA', name), _date(job, part, 'labelB', name)
    except LabelReadError as error:
        raise PrepareError(str(error)) from error


def _date(job: Job, part: str, folder: str, name: str) -> NDArray[np.uint8]:
    """A label of the re-pack: indices, or colours."""
    chosen = folder if (job.source / part / folder).is_dir() else f'{folder}_rgb'
    path: Path = job.need(part, chosen, name)
    raw = read_image(path, grey=True)
    if raw.ndim == 3:
        return COLOURS(raw[..., :3], path)
    return ids_to_index(raw, {index: index for index in range(5)}, path=path)


RECIPE = Recipe(
    'landsat_scd', 'semantic change, 4 land covers inside changes, 30 m; transition ids or labels per date',
    'the Landsat-SCD download page, or the re-pack of the SCanNet repository',
    """  A/*.png  B/*.png  label/*.png (ids 0 to 9 of transitions), or
  [{train,val,test}/]A/*.png  B/*.png  labelA/*.png  labelB/*.png (indices; or labelA_rgb, labelB_rgb)""", build,
)
