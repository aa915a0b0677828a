"""LVIS v1: COCO images with 1203 long-tailed categories."""

from __future__ import annotations

from typing import Any

from imbdense.data.prepare.job import Job, PrepareError, read_json
from imbdense.data.prepare.recipe import Recipe

GROUPS = {'r': 'rare', 'c': 'common', 'f': 'frequent'}


def build(job: Job) -> None:
    """Annotations get ``file_name`` (from ``coco_url``); the image folders are linked whole; groups are written down.

    ``neg_category_ids`` and ``not_exhaustive_category_ids`` are kept: the federated evaluation needs them.
    """
    for split in ('train', 'val'):
        path = job.need(f'lvis_v1_{split}.json')
        record = read_json(path)
        if not {'images', 'annotations', 'categories'} <= set(record):
            raise PrepareError(f'{path} has the keys {sorted(record)}; images, annotations, categories were expected.')
        used = set()
        for image in job.each(record['images'], split):
            if 'file_name' not in image:
                image['file_name'] = '/'.join(image['coco_url'].split('/')[-2:])
            used.add(image['file_name'].split('/')[0])
        for folder in sorted(used):
            job.place(job.need(folder), f'images/{folder}')
        check_files(job, record['images'])
        job.write_json(f'annotations/{split}.json', record)
        if split == 'train':
            job.write_json('frequency_groups.json', frequency_groups(record['categories']))
        job.note(f'{split}: {len(record["images"])} images, {len(record["annotations"])} objects')


def check_files(job: Job, images: list[dict[str, Any]], sample: int = 200) -> None:
    """Look for a sample of the images (100 000 on a network disk would take minutes); a missing one is an error."""
    for image in images[:: max(len(images) // sample, 1)]:
        if not (job.source / image['file_name']).exists():
            raise job.error(f'{job.source / image["file_name"]} is missing')


def frequency_groups(categories: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Names of the rare (1–10 train images), common (11–100) and frequent categories, by published flag or count."""
    groups: dict[str, list[str]] = {name: [] for name in GROUPS.values()}
    for category in sorted(categories, key=lambda entry: entry['id']):
        flag = category.get('frequency')
        if flag is None:
            count = category['image_count']
            flag = 'r' if count <= 10 else 'c' if count <= 100 else 'f'
        groups[GROUPS[flag]].append(category['name'])
    return groups


RECIPE = Recipe(
    'lvis', 'COCO images, 1203 classes (detection, instances)',
    'the LVIS site (annotations v1) and the COCO site (train2017, val2017)',
    """  lvis_v1_train.json  lvis_v1_val.json
  train2017/*.jpg  val2017/*.jpg""", build,
)
