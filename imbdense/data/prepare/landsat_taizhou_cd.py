"""Landsat pair of Taizhou: six bands, sparse labels, cut into georeferenced tiles with a split by place."""

from __future__ import annotations

import numpy as np

from imbdense.data.change.spatial_blocks import SpatialBlockSplit
from imbdense.data.prepare.job import IGNORE, Job
from imbdense.data.prepare.pairs import PairOutput
from imbdense.data.prepare.pixels import ids_to_index, read_image
from imbdense.data.prepare.recipe import Recipe
from imbdense.data.prepare.tiles import write_window

SPLIT = SpatialBlockSplit({'train': 0.7, 'val': 0.3}, block=80, buffer=5)
"""Blocks of 2.4 km; 150 m beside a block of the other split are not used."""


def build(job: Job) -> None:
    """Tiles keep number type, coordinate system and place; those without a labelled pixel are left out."""
    output = PairOutput(job)
    images, path = [job.need('t1.tif'), job.need('t2.tif')], job.need('label.png')
    label = ids_to_index(read_image(path, grey=True), {0: 0, 1: 1, IGNORE: IGNORE}, path=path)
    blocks = SPLIT.divide(label.shape, label, 2)
    for split in blocks.names:
        for row, column, height, width in job.each(list(blocks.windows(split, job.tile, job.overlap)), split):
            box = (row, column, row + height, column + width)
            part = label[row : box[2], column : box[3]].copy()
            part[~blocks.usable(split, (row, column, height, width))] = IGNORE
            if np.all(part == IGNORE):
                continue
            name = f'taizhou_{row}_{column}'
            output.add(split, name)
            if not output.done(name):
                for date, image in enumerate(images, 1):
                    write_window(image, job.out / f't{date}/{name}.tif', box, label.shape)
                output.write_labels(name, part, size=(height, width))
    output.finish()


RECIPE = Recipe(
    'landsat_taizhou_cd', 'Landsat pair of 6 bands, change, sparse labels; tiles with a split by place',
    'the folder Dataset/Landsat/Taizhou of ChenHongruixuan/ChangeDetectionRepository on GitHub, labels as one PNG',
    """  t1.tif  t2.tif (6 bands, the same grid)
  label.png (0 unchanged, 1 changed, 255 not labelled)""", build, tile=80, overlap=0,
)
