"""Semantic change pairs made from the Dubai aerial imagery: real images, inserted changes."""

from __future__ import annotations

from imbdense.data.prepare.dubai_aerial import CLASSES, INDICES, PALETTE
from imbdense.data.prepare.job import IGNORE, Job
from imbdense.data.prepare.pairs import PairOutput
from imbdense.data.prepare.pixels import ids_to_index, read_image
from imbdense.data.prepare.recipe import Recipe

FIRST_VAL = 30


def build(job: Job) -> None:
    """Ids below 030 train, the others val; labels are checked and written anew."""
    output = PairOutput(job, CLASSES, PALETTE)
    images = job.need_files(job.need('t1'), '*.png')
    for path in job.each(images, 'pairs'):
        name = path.stem
        output.add('val' if int(name) >= FIRST_VAL else 'train', name)
        size = output.place(name, [path, job.need('t2', path.name)])
        if not output.done(name):
            covers = [job.need(f'label_t{date}', path.name) for date in (1, 2)]
            change = job.need('label_change', path.name)
            output.write_labels(
                name,
                ids_to_index(read_image(change, grey=True), {0: 0, 1: 1, IGNORE: IGNORE}, path=change),
                [ids_to_index(read_image(cover, grey=True), INDICES, path=cover) for cover in covers],
                size,
            )
    output.finish()


RECIPE = Recipe(
    'dubai_scd_semisynthetic', 'semantic change, 5 land covers, 40 pairs; real images, inserted changes',
    'the small data sets beside this checkout (made from dubai_aerial)',
    """  t1/<id>.png  t2/<id>.png
  label_t1/<id>.png  label_t2/<id>.png (indices)
  label_change/<id>.png (0, 1, 255)""", build,
)
