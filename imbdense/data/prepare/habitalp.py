"""HabitAlp 2.0: habitats of an alpine national park at two dates; kinds of change by a stated table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imbdense.data.change.spatial_blocks import SpatialBlockSplit
from imbdense.data.geotiff import open_raster
from imbdense.data.prepare.job import IGNORE, Job, PrepareError
from imbdense.data.prepare.pairs import Label, PairOutput, Window, cut_pair, read_band
from imbdense.data.prepare.pixels import ids_to_index
from imbdense.data.prepare.recipe import Recipe

CLASSES = (
    'none', 'mature density loss', 'old-growth density loss', 'setback', 'progression', 'density gain',
    'early establishment', 'clearcut', 'other change',
)  # fmt: skip
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
STAGES = {0: (6, 7), 1: (8, 9, 10), 2: (11, 12, 13, 14), 3: (15, 16, 17, 18)}
"""Young, pole, mature and old forest."""
DENSE, OPEN = (9, 12, 14, 16, 18), (8, 11, 13, 15, 17)
CLEARCUT, LOW = 19, (20, 21, 22)
SHARES = {'train': 0.7, 'val': 0.15, 'test': 0.15}
TILES_PER_BLOCK = 4


def transition_table() -> NDArray[np.uint8]:
    """(24, 24) kind of change from habitat id to habitat id; 255 where an id is 0."""
    stage = {number: level for level, members in STAGES.items() for number in members}
    table = np.full((24, 24), 8, np.uint8)
    np.fill_diagonal(table, 0)
    for before in range(1, 24):
        for after in range(1, 24):
            if before != after:
                table[before, after] = _kind(before, after, stage)
    table[0] = table[:, 0] = IGNORE
    return table


def _kind(before: int, after: int, stage: dict[int, int]) -> int:
    """Kind of one transition between different habitats."""
    if before in LOW and after in stage:
        return 6
    if after == CLEARCUT:
        return 7
    if before == CLEARCUT:
        return 6 if stage.get(after) == 0 else 8
    if before not in stage or after not in stage:
        return 8
    if stage[before] == stage[after]:
        if before in DENSE and after in OPEN:
            return {2: 1, 3: 2}.get(stage[before], 3)
        return 5 if before in OPEN and after in DENSE else 8
    if stage[after] < stage[before]:
        return 3
    return 4 if (stage[before], stage[after]) in ((0, 1), (1, 2), (1, 3), (2, 3)) else 8


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
    table, ids = transition_table(), {number: number for number in range(24)} | {IGNORE: 0}
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
