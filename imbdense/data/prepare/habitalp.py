"""HabitAlp 2.0: habitats of an alpine national park at two dates; kinds of change by a stated table."""

from __future__ import annotations

import numpy as np

from imbdense.core.metrics.alpine_transitions import KINDS, alpine_transition_lut
from imbdense.data.change.spatial_blocks import SpatialBlockSplit
from imbdense.data.geotiff import open_raster
from imbdense.data.prepare.job import IGNORE, Job, PrepareError
from imbdense.data.prepare.pairs import Label, PairOutput, Window, cut_pair, read_band
from imbdense.data.prepare.pixels import ids_to_index
from imbdense.data.prepare.recipe import Recipe

CLASSES = KINDS
PALETTE = (
    (230, 230, 230), (255, 200, 120), (200, 110, 40), (150, 0, 60), (90, 170, 90), (0, 110, 60), (170, 220, 90),
    (255, 0, 0), (120, 120, 200),
)  # fmt: skip
HABITATS = (
    'waterbody', 'gravel', 'erosion', 'debris', 'rock', 'young conifer', 'young broadleaf', 'pole conifer open',
    'pole conifer dense', 'pole broadleaf', 'mature conifer open', 'mature conifer dense', 'mature broadleaf open',
    'mature broadleaf dense', 'old conifer open', 'old conifer dense', 'old broadleaf open', 'old broadleaf dense',
    'clearcut', 'krummholz', 'grassland', 'alpine grassland', 'other',
)  # fmt: skip
"""Ids 1 to 23 of the label rasters."""
SHARES = {'train': 0.7, 'val': 0.15, 'test': 0.15}
TILES_PER_BLOCK = 4


def build(job: Job) -> None:
    """Tiles of both dates with habitats, and kinds of change made from them; blocks of four tiles per split."""
    output = PairOutput(job, HABITATS, _habitat_palette(), classes=CLASSES, palette=PALETTE)
    images = [job.need('image_2013.tif'), job.need('image_2020.tif')]
    files = [job.need('labels_2013.tif'), job.need('labels_2020.tif')]
    with open_raster(images[0]) as raster:
        shape = (raster.height, raster.width)
    for path in files:
        with open_raster(path) as raster:
            if (raster.height, raster.width) != shape:
                raise PrepareError(f'{path} is {(raster.height, raster.width)}, but {images[0]} is {shape}.')
    blocks = SpatialBlockSplit(SHARES, TILES_PER_BLOCK * job.tile, buffer=job.tile // 4).divide(shape)
    table, ids = alpine_transition_lut(), {number: number for number in range(24)} | {IGNORE: 0}
    for split in blocks.names:

        def labels(window: Window, split: str = split) -> tuple[Label, list[Label]]:
            usable = blocks.usable(split, window)
            found = [np.where(usable, ids_to_index(read_band(p, window), ids, path=p), 0) for p in files]
            covers = [np.where(label == 0, IGNORE, label.astype(np.int64) - 1).astype(np.uint8) for label in found]
            return table[found[0], found[1]], covers

        cut_pair(output, split, 'habitalp', images, blocks.windows(split, job.tile, job.overlap), labels)
    output.finish()


def _habitat_palette() -> list[tuple[int, int, int]]:
    """23 colours that differ."""
    return [(37 * number % 256, 101 * number % 256, 197 * number % 256) for number in range(1, 24)]


RECIPE = Recipe(
    'habitalp', 'habitats of an alpine park at two dates, 23 habitats, 9 kinds of change, 0.2 m; tiles',
    'HabitAlp 2.0, Gesaeuse National Park (Kristen et al. 2025)',
    """  image_2013.tif  image_2020.tif (orthophotos of any bands, the same grid)
  labels_2013.tif  labels_2020.tif (1 to 23, 0 no data, the same grid)
(arrange the download like this; warp labels with `rio warp --like image_2013.tif --resampling nearest`)""",
    build, tile=256, overlap=0,
)
