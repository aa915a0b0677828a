"""Dubai aerial imagery (MBRSC): five land-cover classes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from imbdense.data.prepare.job import IGNORE, Job, read_lines
from imbdense.data.prepare.pixels import check_same_size, colours_to_index, ids_to_index, read_image
from imbdense.data.prepare.recipe import Recipe
from imbdense.data.prepare.tiles import cut_image

CLASSES = ('building', 'land', 'road', 'vegetation', 'water')
PALETTE = ((60, 16, 152), (132, 41, 246), (110, 193, 228), (254, 221, 58), (226, 169, 41))
COLOURS = {colour: index for index, colour in enumerate(PALETTE)} | {(155, 155, 155): IGNORE, (0, 0, 0): IGNORE}
INDICES = {index: index for index in range(5)} | {IGNORE: IGNORE}


def build(job: Job) -> None:
    """Images and index masks per split, cut into tiles on request; colours (three channels) are converted."""
    for split in ('train', 'val'):
        names = read_lines(job, 'splits', f'{split}.txt')
        for name in job.each(names, split):
            path, label_path = job.need('images', f'{name}.jpg'), job.need('labels', f'{name}.png')
            if job.tile:
                cut_image(job, path, label_path, split, PALETTE, partial(read_label, label_path))
                continue
            job.place(path, f'images/{split}/{name}.jpg')
            target = f'labels/{split}/{name}.png'
            if not job.done(target):
                label = read_label(label_path)
                check_same_size(read_image(path), label, path, label_path)
                job.write_label(target, label, PALETTE)
        job.note(f'{split}: {len(names)} images')


def read_label(path: Path) -> NDArray[Any]:
    """Class indices (H, W) of either form of mask."""
    raw = read_image(path, grey=True)
    if raw.ndim == 3:
        return colours_to_index(raw[..., :3], COLOURS, path=path)
    return ids_to_index(raw, INDICES, path=path)


RECIPE = Recipe(
    'dubai_aerial', 'aerial RGB, 5 classes (segmentation), strong label shift between train and val',
    '"Semantic segmentation of aerial imagery" by Humans in the Loop',
    """  images/<tile>_<part>.jpg
  labels/<tile>_<part>.png (palette indices, or the original colours)
  splits/{train,val}.txt""", build,
    cuts=True,
)
