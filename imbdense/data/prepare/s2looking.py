"""S2Looking: new and demolished buildings in oblique satellite images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbdense.data.prepare.job import IGNORE, Job, PrepareError
from imbdense.data.prepare.pairs import PairOutput, read_change_mask
from imbdense.data.prepare.pixels import read_image
from imbdense.data.prepare.recipe import Recipe

CLASSES = ('unchanged', 'new', 'demolished')
PALETTE = ((0, 0, 0), (0, 0, 255), (255, 0, 0))


def build(job: Job) -> None:
    """Kinds of change from ``label1`` and ``label2``; a pixel that is in both, or in ``label`` only, is ignored."""
    output = PairOutput(job, classes=CLASSES, palette=PALETTE)
    for split in ('train', 'val', 'test'):
        images = job.need_files(job.need(split, 'Image1'), '*.png')
        for path in job.each(images, split):
            name = f'{split}/{path.stem}'
            output.add(split, name)
            size = output.place(name, [path, job.need(split, 'Image2', path.name)])
            if not output.done(name):
                union = painted(job.need(split, 'label', path.name))
                new, gone = (painted(job.need(split, f'label{number}', path.name)) for number in (1, 2))
                if not union.shape == new.shape == gone.shape:
                    raise PrepareError(f'{split}/{path.name}: label, label1 and label2 differ in size.')
                change = np.where(new, 1, np.where(gone, 2, 0)).astype(np.uint8)
                change[(new & gone) | (union & ~new & ~gone)] = IGNORE
                output.note_fault(name, int(np.count_nonzero(change == IGNORE)))
                output.write_labels(name, change, size=size)
    output.report_faults('new and demolished at once, or neither though changed (ignored)')
    output.finish()


def painted(path: Path) -> NDArray[np.bool_]:
    """Where a mask, grey or of any one colour, is painted.

    Raises:
        PrepareError: channels with other values than 0, 1 and 255.
    """
    raw = read_image(path, grey=True)
    if raw.ndim == 2:
        return read_change_mask(path) == 1
    highest = raw[..., :3].max(axis=2)
    strange = np.setdiff1d(np.unique(highest), (0, 255))
    if strange.size:
        raise PrepareError(f'{path} holds {strange[:8].tolist()}; 0 and 255 were expected in its channels.')
    return highest == 255


RECIPE = Recipe(
    's2looking', 'new and demolished buildings, 5000 pairs of 1024 px, off-nadir', 'the S2Looking repository on GitHub',
    """  {train,val,test}/Image1/*.png  Image2/*.png
  {train,val,test}/label/*.png (either)  label1/*.png (new)  label2/*.png (demolished)""", build,
)
