"""HIT-UAV: thermal images from a drone, small objects, COCO boxes in the origin's own or the standard spelling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imbdense.data.prepare.coco import CocoBuilder
from imbdense.data.prepare.job import Job, PrepareError, read_json
from imbdense.data.prepare.recipe import Recipe

CLASSES = ('Person', 'Car', 'Bicycle', 'OtherVehicle', 'DontCare')
CROWD = 'DontCare'


def build(job: Job) -> None:
    """Standard or original json → COCO with ids from 1; DontCare regions become iscrowd=1 (neither hit nor miss)."""
    for split in ('train', 'val', 'test'):
        source = _annotation_file(job, split)
        if source is None:
            continue
        coco = convert(job, source, split)
        folder = job.need_one_of(f'images/{split}', f'normal_json/{split}', split)
        for image in job.each(coco.images, split):
            path = folder / image['file_name']
            if not path.exists():
                raise job.error(f'{source} names {image["file_name"]}, which is not in {folder}')
            job.place(path, f'images/{split}/{image["file_name"]}')
        job.write_json(f'annotations/{split}.json', coco.to_dict())
        job.note(f'{split}: {len(coco.images)} images, {len(coco.annotations)} boxes, {coco.dropped} without area')


def convert(job: Job, source: Path, split: str) -> CocoBuilder:
    """Read either spelling (``annotations`` or ``annotation``, ``file_name`` or ``filename``, ids from 1 or 0)."""
    record = read_json(source)
    boxes = record.get('annotations', record.get('annotation'))
    if boxes is None or 'images' not in record or 'categories' not in record:
        raise PrepareError(f'{source} has the keys {sorted(record)}; images, annotations and categories were expected.')
    names = {entry['id']: entry['name'] for entry in record['categories']}
    unknown = sorted(set(names.values()) - set(CLASSES))
    if unknown:
        raise PrepareError(f'{source} has the unknown categories {unknown}; known are {list(CLASSES)}.')
    coco = CocoBuilder(CLASSES, f'HIT-UAV {split}', 'CC BY 4.0')
    images: dict[Any, dict[str, Any]] = {}
    named = [(entry.get('file_name', entry.get('filename')), entry) for entry in record['images']]
    for name, entry in sorted(named, key=lambda pair: pair[0]):
        images[entry['id']] = coco.add_image(name, entry['width'], entry['height'])
    for entry in boxes:
        if entry['image_id'] not in images:
            raise PrepareError(f'{source}: box {entry.get("id")} is on image {entry["image_id"]}, which is not listed.')
        x, y, width, height = entry['bbox']
        name = names[entry['category_id']]
        crowd = name == CROWD or bool(entry.get('iscrowd', 0))
        coco.add_box(images[entry['image_id']], name, (x, y, x + width, y + height), crowd=crowd)
    return coco


def _annotation_file(job: Job, split: str) -> Path | None:
    """The json of a split in either layout; only ``test`` may be absent."""
    choices = (f'annotations/{split}.json', f'normal_json/annotations/{split}.json', f'{split}.json')
    if split == 'test':
        return next((job.source / name for name in choices if (job.source / name).exists()), None)
    return job.need_one_of(*choices)


RECIPE = Recipe(
    'hit_uav', 'thermal drone images, 4 classes + DontCare, boxes (detection)',
    'the HIT-UAV-Infrared-Thermal-Dataset repository of suojiashun on GitHub',
    """  images/{train,val[,test]}/*.jpg
  annotations/{train,val[,test]}.json
or the original one
  normal_json/{train,val,test}/*.jpg
  normal_json/annotations/{train,val,test}.json""", build,
)
