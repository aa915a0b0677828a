"""WHU-CD: one pair of very large aerial images, building change, cut into tiles with the geographic split."""

from __future__ import annotations

from imbdense.data.change.spatial_blocks import SpatialBlockSplit
from imbdense.data.geotiff import open_raster
from imbdense.data.prepare.job import Job, PrepareError
from imbdense.data.prepare.pairs import Label, PairOutput, Window, cut_pair, read_band
from imbdense.data.prepare.pixels import ids_to_index, windows
from imbdense.data.prepare.recipe import Recipe

TRAIN_SHARE = 21243 / 32507
"""Columns of the training area (left) in all columns, not verified; the test area is on the right."""
VAL = {'train': 0.9, 'val': 0.1}
TILES_PER_BLOCK = 8


def build(job: Job) -> None:
    """Left part: training, of which blocks of eight tiles are val; right part: test. No pixel is in two splits."""
    output = PairOutput(job)
    images = [job.need('before.tif'), job.need('after.tif')]
    label = job.need('change_label.tif')
    with open_raster(images[0]) as one, open_raster(label) as two:
        height, width = one.height, one.width
        if (two.height, two.width) != (height, width):
            raise PrepareError(f'{label} is {(two.height, two.width)}, but {images[0]} is {(height, width)}.')
    border = round(width * TRAIN_SHARE)
    block = min(TILES_PER_BLOCK * job.tile, max(border, height) // 2)
    blocks = SpatialBlockSplit(VAL, max(block, 1)).divide((height, border))

    def labels(window: Window) -> tuple[Label, tuple[()]]:
        part = read_band(label, window)
        return ids_to_index(part, {0: 0, 1: 1, 255: 1}, path=label), ()

    for split in blocks.names:
        cut_pair(output, split, 'whu', images, blocks.windows(split, job.tile, job.overlap), labels)
    right = [
        (y0, x0 + border, y1 - y0, x1 - x0)
        for y0, x0, y1, x1 in windows(height, width - border, job.tile, job.overlap)
    ]
    cut_pair(output, 'test', 'whu', images, right, labels)
    job.note(f'training area: columns 0 to {border - 1}; test area: columns {border} to {width - 1}')
    output.finish()


RECIPE = Recipe(
    'whu_cd', 'building change, one pair of 32507 x 15354 px, 0.2 m; tiles with the geographic split',
    'the WHU building data set page, part change detection',
    """  before.tif  after.tif (the same grid)
  change_label.tif (one band; 0 and 1, or 0 and 255)
(the download has other names: arrange it like this)""", build, tile=256, overlap=0,
)
