"""Landsat pair of Taizhou: six bands, sparse labels, cut into georeferenced tiles with a split by place."""

from __future__ import annotations

from imbdense.data.change.spatial_blocks import SpatialBlockSplit
from imbdense.data.prepare.job import IGNORE, Job
from imbdense.data.prepare.pairs import Label, PairOutput, Window, cut_pair
from imbdense.data.prepare.pixels import ids_to_index, read_image
from imbdense.data.prepare.recipe import Recipe

SPLIT = SpatialBlockSplit({'train': 0.7, 'val': 0.3}, block=80, buffer=5)
"""Blocks of 2.4 km; 150 m beside a block of the other split are not used."""


def build(job: Job) -> None:
    """Tiles keep number type, coordinate system and place; those without a labelled pixel are left out."""
    output = PairOutput(job)
    images, path = [job.need('t1.tif'), job.need('t2.tif')], job.need('label.png')
    label = ids_to_index(read_image(path, grey=True), {0: 0, 1: 1, IGNORE: IGNORE}, path=path)
    blocks = SPLIT.divide(label.shape, label, 2)
    for split in blocks.names:

        def labels(window: Window, split: str = split) -> tuple[Label, tuple[()]]:
            row, column, height, width = window
            part = label[row : row + height, column : column + width].copy()
            part[~blocks.usable(split, window)] = IGNORE
            return part, ()

        cut_pair(output, split, 'taizhou', images, blocks.windows(split, job.tile, job.overlap), labels)
    output.finish()


RECIPE = Recipe(
    'landsat_taizhou_cd', 'Landsat pair of 6 bands, change, sparse labels; tiles with a split by place',
    'the folder Dataset/Landsat/Taizhou of ChenHongruixuan/ChangeDetectionRepository on GitHub, labels as one PNG',
    """  t1.tif  t2.tif (6 bands, the same grid)
  label.png (0 unchanged, 1 changed, 255 not labelled)""", build, tile=80, overlap=0,
)
