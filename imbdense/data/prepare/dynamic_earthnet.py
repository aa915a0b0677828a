"""DynamicEarthNet: monthly land cover of 75 areas; pairs of consecutive months."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from imbdense.data.geotiff import open_raster, read_window
from imbdense.data.prepare.job import IGNORE, Job, PrepareError, read_lines
from imbdense.data.prepare.pairs import Label, PairOutput
from imbdense.data.prepare.recipe import Recipe

CLASSES = ('impervious', 'agriculture', 'forest', 'wetland', 'soil', 'water', 'snow and ice')
PALETTE = (
    (96, 96, 96), (204, 204, 0), (0, 204, 0), (0, 0, 153), (153, 76, 0), (0, 128, 255), (138, 178, 198),
)  # fmt: skip


def build(job: Job) -> None:
    """A pair per area and month; changed = the land cover differs. Pixels of no or several classes are ignored."""
    output = PairOutput(job, CLASSES, PALETTE)
    for split in ('train', 'val', 'test'):
        for area in job.each(read_lines(job, 'splits', f'{split}.txt'), split):
            months = job.need_files(job.need(area, 'labels'), '*.tif')
            if len(months) < 2:
                raise job.error(f'{job.source / area / "labels"} holds {len(months)} month; two are needed')
            for first, second in pairwise(months):
                name = f'{area}/{first.stem}'
                output.add(split, name)
                size = output.place(name, [job.need(area, 'images', month.name) for month in (first, second)])
                if not output.done(name):
                    one, two = read_layers(first), read_layers(second)
                    if one.shape != two.shape:
                        raise PrepareError(f'{first} is {one.shape} and {second} is {two.shape}: they are no pair.')
                    change = np.where((one == IGNORE) | (two == IGNORE), IGNORE, one != two).astype(np.uint8)
                    output.write_labels(name, change, (one, two), size)
    output.finish()


def read_layers(path: Path) -> Label:
    """Class indices (H, W) of a raster with one binary layer per class; 255 where no layer, or several, are set.

    Raises:
        PrepareError: another number of layers, or a broken file.
    """
    try:
        with open_raster(path) as source:
            if source.count != len(CLASSES):
                raise PrepareError(f'{path} has {source.count} layers; {len(CLASSES)}, one per class, were expected.')
            layers = read_window(source, (0, 0, source.height, source.width))[0] != 0
    except OSError as error:
        raise PrepareError(str(error)) from error
    return np.where(layers.sum(axis=2) == 1, layers.argmax(axis=2), IGNORE).astype(np.uint8)


RECIPE = Recipe(
    'dynamic_earthnet', 'monthly land cover, 7 classes, 75 areas of 1024 px, 4 bands; pairs of months',
    'the DynamicEarthNet project page',
    """  splits/{train,val,test}.txt (names of areas)
  <area>/images/<month>.tif (4 bands; of the daily images the one of the label's date)
  <area>/labels/<month>.tif (7 layers of 0 and not 0), the same names
(arrange the download like this)""", build,
)
