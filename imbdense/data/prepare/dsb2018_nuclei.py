"""Data Science Bowl 2018 nuclei: background, nucleus, touching border."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.prepare.coco import CocoBuilder
from imbdense.data.prepare.job import Job, read_lines
from imbdense.data.prepare.pixels import check_same_size, ids_to_index, read_image
from imbdense.data.prepare.recipe import Recipe
from imbdense.data.prepare.tiles import cut_image

CLASSES = ('background', 'nucleus', 'touching_border')
PALETTE = ((40, 40, 60), (90, 170, 230), (255, 120, 40))


def build(job: Job) -> None:
    """Images and labels per split; instance maps become COCO boxes and run-length masks of the class nucleus.

    Cut into tiles on request; tiles have no instances.
    """
    for split in ('train', 'val'):
        names = read_lines(job, 'splits', f'{split}.txt')
        coco = CocoBuilder(('nucleus',), f'DSB 2018 nuclei {split}', 'CC0 1.0')
        for name in job.each(names, split):
            path, label_path = job.need('images', f'{name}.png'), job.need('labels', f'{name}.png')
            if job.tile:
                cut_image(job, path, label_path, split, PALETTE, partial(read_label, label_path))
                continue
            job.place(path, f'images/{split}/{name}.png')
            if not job.done(f'labels/{split}/{name}.png'):
                label = read_label(label_path)
                check_same_size(read_image(path), label, path, label_path)
                job.write_label(f'labels/{split}/{name}.png', label, PALETTE)
            if (job.source / 'instances').is_dir():
                add_instances(coco, f'{name}.png', read_image(job.need('instances', f'{name}.png'), grey=True))
        if coco.images:
            job.write_json(f'annotations/{split}.json', coco.to_dict())
        nuclei = f'cut into tiles of {job.tile} px' if job.tile else f'{len(coco.annotations)} nuclei'
        job.note(f'{split}: {len(names)} images, {nuclei}')


def read_label(path: Path) -> NDArray[Any]:
    """Class indices (H, W)."""
    return ids_to_index(read_image(path, grey=True), {0: 0, 1: 1, 2: 2}, path=path)


def add_instances(coco: CocoBuilder, file_name: str, ids: NDArray[Any]) -> None:
    """Add every object of an id map (H, W; 0 = none) with its box, area and uncompressed run-length mask."""
    height, width = ids.shape
    image = coco.add_image(file_name, width, height)
    for number in np.unique(ids[ids > 0]).tolist():
        mask = ids == number
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        flat = mask.ravel(order='F')
        edges = np.flatnonzero(np.diff(flat)) + 1
        runs = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
        counts = [0, *runs] if flat[0] else runs
        box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        code = {'size': [height, width], 'counts': counts}
        coco.add_box(image, 'nucleus', box, mask={'area': int(mask.sum()), 'segmentation': code})


RECIPE = Recipe(
    'dsb2018_nuclei', 'nuclei in microscopy, 3 classes (segmentation) + instances (COCO)',
    'BBBC038 of the Broad Bioimage Benchmark Collection, fixed in the kaggle-dsbowl-2018-dataset-fixes repository',
    """  images/<id>.png   labels/<id>.png (0 background, 1 nucleus, 2 touching border)
  [instances/<id>.png (uint16 ids)]   splits/{train,val}.txt""", build,
    cuts=True,
)
