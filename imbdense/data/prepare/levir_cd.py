"""LEVIR-CD: building change, masks of 0 and 255."""

from __future__ import annotations

from imbdense.data.prepare.job import Job
from imbdense.data.prepare.pairs import PairOutput, read_change_mask
from imbdense.data.prepare.recipe import Recipe


def build(job: Job) -> None:
    """The published splits; names get the split in front."""
    output = PairOutput(job)
    for split in ('train', 'val', 'test'):
        images = job.need_files(job.need(split, 'A'), '*.png')
        for path in job.each(images, split):
            name = f'{split}/{path.stem}'
            output.add(split, name)
            size = output.place(name, [path, job.need(split, 'B', path.name)])
            if not output.done(name):
                output.write_labels(name, read_change_mask(job.need(split, 'label', path.name)), size=size)
    output.finish()


RECIPE = Recipe(
    'levir_cd', 'building change, 637 pairs of 1024 px, 0.5 m', 'the LEVIR-CD project page',
    """  {train,val,test}/A/*.png  B/*.png  label/*.png (0, 255)""", build,
)
