"""BCCD: blood cells in light microscopy, Pascal VOC boxes."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from imbdense.data.prepare.coco import CocoBuilder
from imbdense.data.prepare.job import Job, PrepareError, read_lines
from imbdense.data.prepare.recipe import Recipe

CLASSES = ('RBC', 'WBC', 'Platelets')


def build(job: Job) -> None:
    """VOC xml → one COCO json per split; boxes are clipped, those without area dropped and counted."""
    for split in ('train', 'val', 'test'):
        if split == 'test' and not (job.source / 'ImageSets/Main/test.txt').exists():
            continue
        names = read_lines(job, 'ImageSets', 'Main', f'{split}.txt')
        coco = CocoBuilder(CLASSES, f'BCCD {split}', 'MIT')
        for name in job.each(names, split):
            image = job.need('JPEGImages', f'{name}.jpg')
            job.place(image, f'images/{split}/{image.name}')
            add_voc_file(coco, job.need('Annotations', f'{name}.xml'), image.name)
        job.write_json(f'annotations/{split}.json', coco.to_dict())
        job.note(
            f'{split}: {len(names)} images, {len(coco.annotations)} boxes; {coco.clipped} boxes clipped to the image, '
            f'{coco.dropped} without area dropped'
        )


def add_voc_file(coco: CocoBuilder, path: Path, file_name: str) -> None:
    """Add one Pascal VOC annotation file (corner coordinates count from 1).

    Raises:
        PrepareError: broken xml, or a class that the data set does not have.
    """
    try:
        root = ElementTree.parse(path).getroot()
        image = coco.add_image(file_name, *(int(_number(root, f'size/{key}')) for key in ('width', 'height')))
        for item in root.iter('object'):
            x0, y0, x1, y1 = (_number(item, f'bndbox/{key}') for key in ('xmin', 'ymin', 'xmax', 'ymax'))
            if x1 <= x0 or y1 <= y0:
                coco.dropped += 1
                continue
            name = (item.findtext('name') or '').strip()
            if name not in coco.classes:
                raise PrepareError(f'{path} names the class {name!r}; known are {coco.classes}.')
            difficult = (item.findtext('difficult') or '0').strip() == '1'
            coco.add_box(image, name, (x0 - 1, y0 - 1, x1, y1), crowd=difficult)
    except (ElementTree.ParseError, ValueError) as error:
        if isinstance(error, PrepareError):
            raise
        raise PrepareError(f'{path} is not a Pascal VOC annotation ({error}).') from error


def _number(element: ElementTree.Element, path: str) -> float:
    """The number at a path below ``element``; an absent one is a ``ValueError`` that names it."""
    text = element.findtext(path)
    if text is None:
        raise ValueError(f'<{path}> is absent')
    return float(text)


RECIPE = Recipe(
    'bccd', 'blood cells, 3 classes, boxes (detection)', 'the BCCD_Dataset repository of Shenggan on GitHub',
    """  JPEGImages/*.jpg
  Annotations/*.xml
  ImageSets/Main/{train,val,test}.txt""", build,
)
