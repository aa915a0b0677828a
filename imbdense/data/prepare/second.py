"""SECOND: semantic change, 6 land covers, labels inside changes only; both packs that are in circulation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbdense.data.change.labels import ColorMapToIndex, split_change_only
from imbdense.data.prepare.job import Job, PrepareError
from imbdense.data.prepare.pairs import PairOutput, read_change_mask
from imbdense.data.prepare.pixels import ids_to_index, read_image
from imbdense.data.prepare.recipe import Recipe
from imbdense.data.readers.errors import LabelReadError

CLASSES = ('water', 'ground', 'low vegetation', 'tree', 'building', 'playground')
PALETTE = ((0, 0, 255), (128, 128, 128), (0, 128, 0), (0, 255, 0), (128, 0, 0), (255, 0, 0))
COLOURS = ColorMapToIndex(((255, 255, 255), *PALETTE))
"""White = unchanged is index 0, the land covers are 1 to 6."""
CHANGEMAMBA = {0: 0, 1: 3, 2: 2, 3: 4, 4: 1, 5: 5, 6: 6}
"""Index of the ChangeMamba pack -> index of the colour order. Its classes are low vegetation, ground, tree, water,
building, playground."""
PACKS = {'official': ('im1', 'im2', 'label1', 'label2'), 'changemamba': ('T1', 'T2', 'GT_T1', 'GT_T2')}
EVERY = 5
"""Without lists of one's own every fifth training pair is val."""


def build(job: Job) -> None:
    """Both packs give the same classes in the same order; pixels labelled at one date only are changed, and counted."""
    output = PairOutput(job, CLASSES, PALETTE)
    for part in ('train', 'test'):
        pack = next((name for name, folders in PACKS.items() if (job.source / part / folders[0]).is_dir()), None)
        if pack is None:
            raise job.error(f'{job.source / part} holds neither {PACKS["official"][0]} nor {PACKS["changemamba"][0]}')
        folders = PACKS[pack]
        images = job.need_files(job.need(part, folders[0]), '*.png')
        val = _val_names(job, [path.stem for path in images]) if part == 'train' else set()
        for path in job.each(images, f'{part} ({pack})'):
            name = f'{part}/{path.stem}'
            output.add('val' if path.stem in val else part, name)
            size = output.place(name, [path, job.need(part, folders[1], path.name)])
            if not output.done(name):
                files = [job.need(part, folder, path.name) for folder in folders[2:]]
                change, first, second, pixels = split_change_only(*(_read(file, pack) for file in files))
                if pack == 'changemamba' and (job.source / part / 'GT_CD').is_dir():
                    given = read_change_mask(job.need(part, 'GT_CD', path.name))
                    pixels += int(np.count_nonzero(given != change)) if given.shape == change.shape else 0
                output.note_fault(name, pixels)
                output.write_labels(name, change, (first, second), size)
    output.report_faults('the labels of the two dates (or GT_CD) disagree about what changed')
    output.finish()


def _val_names(job: Job, names: list[str]) -> set[str]:
    """The names of ``val.txt`` of the source, or every fifth."""
    path = job.source / 'val.txt'
    if not path.exists():
        return set(names[::EVERY])
    found = {Path(line).stem for line in path.read_text(encoding='utf-8').split()}
    strange = sorted(found - set(names))
    if strange:
        raise PrepareError(f'{path} names {strange[:5]}, which are no training images.')
    return found


def _read(path: Path, pack: str) -> NDArray[np.uint8]:
    """Label of a date: 0 unchanged, 1 to 6 in the order of the colours."""
    raw = read_image(path, grey=True)
    if pack == 'changemamba':
        return ids_to_index(raw, CHANGEMAMBA, path=path)
    if raw.ndim != 3:
        raise PrepareError(
            f'{path} holds indices, not the colours of the official pack: nothing says which class 1 is. Use the '
            f'official colours, or the ChangeMamba pack with its folders T1, T2, GT_T1, GT_T2.'
        )
    try:
        return COLOURS(raw[..., :3], path)
    except LabelReadError as error:
        raise PrepareError(str(error)) from error


RECIPE = Recipe(
    'second', 'semantic change, 6 land covers inside changes, 4662 pairs; official colours or the ChangeMamba pack',
    'the SECOND project page (Yang et al. 2021), or the index pack of the ChangeMamba repository',
    """  {train,test}/im1/*.png  im2/*.png  label1/*.png  label2/*.png (colours), or
  {train,test}/T1/*.png  T2/*.png  GT_T1/*.png  GT_T2/*.png (indices)  [GT_CD/*.png]
  [val.txt] (training names that are val; else every fifth)""", build,
)
