"""SpaceNet sample: one 16-bit panchromatic scene with building footprints, cut into georeferenced tiles."""

from __future__ import annotations

from imbdense.data.prepare.job import Job
from imbdense.data.prepare.pixels import ids_to_index, read_image, windows
from imbdense.data.prepare.recipe import Recipe
from imbdense.data.prepare.tiles import write_window

CLASSES = ('background', 'building')
PALETTE = ((60, 60, 60), (240, 90, 60))
VAL_SHARE = 1 / 3


def build(job: Job) -> None:
    """Tiles keep dtype, CRS and transform. Spatial split: the eastern third is val, so that no pixel is in both."""
    source = job.need('atlanta_pan_uint16.tif')
    mask_path = job.need('atlanta_buildings_mask.png')
    label = ids_to_index(read_image(mask_path, grey=True), {0: 0, 1: 1}, path=mask_path)
    height, width = label.shape
    border = round(width * (1 - VAL_SHARE))
    parts = {'train': (0, border), 'val': (border, width)}
    for split, (left, right) in parts.items():
        cells = windows(height, right - left, job.tile, job.overlap)
        boxes = [(y0, x0 + left, y1, x1 + left) for y0, x0, y1, x1 in cells]
        for y0, x0, y1, x1 in job.each(boxes, split):
            name = f'atlanta_{y0}_{x0}'
            if job.done(f'labels/{split}/{name}.png'):
                continue
            write_window(source, job.out / f'images/{split}/{name}.tif', (y0, x0, y1, x1), label.shape)
            job.write_label(f'labels/{split}/{name}.png', label[y0:y1, x0:x1], PALETTE)
        job.note(f'{split}: {len(boxes)} tiles')
    extra = job.source / 'multispectral_float64_1.tif'
    if extra.exists():
        job.place(extra, f'images/unlabelled/{extra.name}')


RECIPE = Recipe(
    'spacenet_georef', 'georeferenced 16-bit scene, buildings (segmentation)',
    'the sample data of the solaris repository of CosmiQ on GitHub (imagery: SpaceNet)',
    """  atlanta_pan_uint16.tif
  atlanta_buildings_mask.png (0/1)
  [multispectral_float64_1.tif]""", build, tile=300, overlap=0,
)
