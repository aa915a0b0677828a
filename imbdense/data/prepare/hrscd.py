"""HRSCD: land cover of two French departments at two dates, cut into tiles; the extreme case of rare change."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from imbdense.data.geotiff import open_raster
from imbdense.data.prepare.job import IGNORE, Job
from imbdense.data.prepare.pairs import Label, PairOutput, Window, cut_pair, read_band
from imbdense.data.prepare.pixels import ids_to_index, windows
from imbdense.data.prepare.recipe import Recipe

CLASSES = ('artificial', 'agriculture', 'forest', 'wetland', 'water')
PALETTE = ((230, 0, 77), (255, 255, 168), (0, 166, 0), (166, 166, 255), (0, 204, 242))
TABLE = {0: IGNORE} | {index + 1: index for index in range(5)}
FOLDERS = ('images_2006', 'images_2012', 'labels_land_cover_2006', 'labels_land_cover_2012', 'labels_change')
VAL_SHARE = 0.2


def build(job: Job) -> None:
    """Whole images go to one split: the last fifth of each department by name (its eastern images) is val."""
    output = PairOutput(job, CLASSES, PALETTE)
    for department in sorted(path.name for path in job.need(FOLDERS[0]).iterdir() if path.is_dir()):
        files = [_by_place(job.need_files(job.need(folder, department), '*.tif')) for folder in FOLDERS]
        names = sorted(files[0])
        border = round(len(names) * (1 - VAL_SHARE))
        for number, name in enumerate(names):
            missing = [folder for folder, found in zip(FOLDERS, files) if name not in found]
            if missing:
                raise job.error(f'{missing[0]}/{department} has no file for {files[0][name].name}')
            _cut(output, 'train' if number < border else 'val', f'{department}_{name}', [f[name] for f in files])
    output.finish()


def _cut(output: PairOutput, split: str, prefix: str, files: list[Path]) -> None:
    """One image pair into tiles; change is ignored where the land cover of a date has no information."""

    def labels(window: Window) -> tuple[Label, list[Label]]:
        covers = [ids_to_index(read_band(path, window), TABLE, path=path) for path in files[2:4]]
        change = ids_to_index(read_band(files[4], window), {0: 0, 1: 1, IGNORE: 1}, path=files[4])
        change[np.logical_or(*(cover == IGNORE for cover in covers))] = IGNORE
        return change, covers

    with open_raster(files[0]) as raster:
        boxes = windows(raster.height, raster.width, output.job.tile, output.job.overlap)
        cells = [(y0, x0, y1 - y0, x1 - x0) for y0, x0, y1, x1 in boxes]
    cut_pair(output, split, prefix, files[:2], cells, labels)


def _by_place(files: list[Path]) -> dict[str, Path]:
    """Name without the year (and without dots) -> file: the dates of one place are named by their years."""
    return {re.sub(r'(^|-)(19|20)\d\d(?=-|$)', '', path.stem).strip('-'): path for path in files}


RECIPE = Recipe(
    'hrscd', 'land cover change, 5 land covers, 291 pairs of 10000 px, 0.5 m; tiles', 'the HRSCD download page',
    """  images_2006/<department>/*.tif  images_2012/<department>/*.tif
  labels_land_cover_2006/<department>/*.tif  labels_land_cover_2012/<department>/*.tif (0 to 5)
  labels_change/<department>/*.tif (0, 1)
(arrange the download like this; names may differ by the year only)""", build, tile=512, overlap=0,
)
