"""LoveDA: rural and urban land cover; 0 in the masks is no data."""

from __future__ import annotations

from imbdense.data.prepare.job import IGNORE, Job
from imbdense.data.prepare.pixels import ids_to_index, read_image
from imbdense.data.prepare.recipe import Recipe

CLASSES = ('background', 'building', 'road', 'water', 'barren', 'forest', 'agricultural')
PALETTE = ((255, 255, 255), (255, 0, 0), (255, 255, 0), (0, 0, 255), (159, 129, 183), (0, 255, 0), (255, 195, 128))
TABLE = {0: IGNORE} | {index + 1: index for index in range(7)}


def build(job: Job) -> None:
    """Masks 1…7 → 0…6, 0 → ignore (so ``reduce_zero_label`` stays off); names get the domain in front."""
    for split, folder in (('train', 'Train'), ('val', 'Val')):
        total = 0
        for domain in ('Rural', 'Urban'):
            images = job.need_files(job.need(folder, domain, 'images_png'), '*.png')
            total += len(images)
            for path in job.each(images, f'{split} {domain}'):
                name = f'{domain.lower()}_{path.name}'
                job.place(path, f'images/{split}/{name}')
                if not job.done(f'labels/{split}/{name}'):
                    label_path = job.need(folder, domain, 'masks_png', path.name)
                    label = ids_to_index(read_image(label_path, grey=True), TABLE, path=label_path)
                    job.write_label(f'labels/{split}/{name}', label, PALETTE)
        job.note(f'{split}: {total} images')


RECIPE = Recipe(
    'loveda', 'land cover, 7 classes, urban and rural domain (segmentation)',
    'LoveDA on Zenodo (record 5706578): Train.zip and Val.zip',
    """  {Train,Val}/{Rural,Urban}/images_png/*.png
  {Train,Val}/{Rural,Urban}/masks_png/*.png""", build,
)
