"""hSDB-instrument: surgical instrument parts; real frames with optional rendered pools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imbdense.data.prepare.job import Job, PrepareError, read_json
from imbdense.data.prepare.recipe import Recipe

CHOLEC = (
    'AtraumaticGrasper_Head', 'AtraumaticGrasper_Body', 'Electrichook', 'CurvedAtraumaticGrasper_Head',
    'CurvedAtraumaticGrasper_Body', 'Suction-Irrigation', 'ClipApplier(Metal)_Head', 'ClipApplier(Metal)_Body',
    'Scissors_Head', 'Scissors_Body', 'Overholt_Head', 'Overholt_Body', 'Ligasure_Head', 'Ligasure_Body',
    'ClipApplier(Hem-O-Lok)_Head', 'ClipApplier(Hem-O-Lok)_Body', 'Specimanbag',
)
GASTREC = (
    'HarmonicAce_Head', 'HarmonicAce_Body', 'MarylandBipolarForceps_Head', 'MarylandBipolarForceps_Wrist',
    'MarylandBipolarForceps_Body', 'CadiereForceps_Head', 'CadiereForceps_Wrist', 'CadiereForceps_Body',
    'CurvedAtraumaticGrasper_Head', 'CurvedAtraumaticGrasper_Body', 'Stapler_Head', 'Stapler_Body',
    'Medium-LargeClipApplier_Head', 'Medium-LargeClipApplier_Wrist', 'Medium-LargeClipApplier_Body',
    'SmallClipApplier_Head', 'SmallClipApplier_Wrist', 'SmallClipApplier_Body', 'Suction-Irrigation', 'Needle',
    'Needle-holder_Head', 'Needle-holder_Body', 'Baxter', 'Specimanbag', 'Tube', 'CovidienUltrasonic_Head',
    'CovidienUltrasonic_Body', 'Scissors_Head', 'Scissors_Body', 'AtraumaticGrasper_Head', 'AtraumaticGrasper_Body',
    'Overholt_Head', 'Overholt_Body',
)
ALIASES = {'Specimenbag': 'Specimanbag', 'Specimen-bag': 'Specimanbag', 'Needle_holder': 'Needle-holder'}


def canonical(name: str) -> str:
    """The official spelling of a category name (for 'Suction Irrigation', 'Specimenbag', 'Needle holder_Head', …)."""
    plain = name.strip().replace(' ', '-')
    for wrong, right in ALIASES.items():
        plain = plain.replace(wrong, right)
    return plain


def build(job: Job) -> None:
    """One json per pool with the official class order (ids from 1); images are linked under ``images/<pool>``."""
    files = [('real', split, job.source / 'real' / f'{split}.json') for split in ('train', 'val', 'test')]
    files += [(pool, pool, job.source / f'{pool}.json') for pool in ('syn', 'dr')]
    job.need('real', 'train.json')
    job.need('real', 'val.json')
    present = [(pool, name, path, read_json(path)) for pool, name, path in files if path.exists()]
    classes = surgery_classes([record for _, _, _, record in present], present[0][2])
    for pool, name, path, record in job.each(present, 'annotation files'):
        job.place(job.need(pool), f'images/{pool}')
        converted = convert(record, classes, path)
        converted['info'] = {**record.get('info', {}), 'synthetic': pool != 'real'}
        job.write_json(f'annotations/{name}.json', converted)
        job.note(f'{name}: {len(converted["images"])} images, {len(converted["annotations"])} boxes')


def surgery_classes(records: list[dict[str, Any]], path: Path) -> tuple[str, ...]:
    """The class list (cholecystectomy 17 or gastrectomy 33) that holds every category of the files."""
    names = {canonical(entry['name']) for record in records for entry in record['categories']}
    for classes in (CHOLEC, GASTREC):
        if names <= set(classes):
            return classes
    nearest = min((CHOLEC, GASTREC), key=lambda classes: len(names - set(classes)))
    unknown = sorted(names - set(nearest))
    raise PrepareError(f'{path.parent} has the categories {unknown}, which hSDB-instrument does not define.')


def convert(record: dict[str, Any], classes: tuple[str, ...], path: Path) -> dict[str, Any]:
    """Re-number categories to the official order; a category without boxes is kept with count 0."""
    index = {name: number for number, name in enumerate(classes, 1)}
    translate = {entry['id']: index[canonical(entry['name'])] for entry in record['categories']}
    annotations = []
    for entry in record['annotations']:
        if entry['category_id'] not in translate:
            raise PrepareError(f'{path}: box {entry.get("id")} has the unlisted category {entry["category_id"]}.')
        annotations.append({'iscrowd': 0, **entry, 'category_id': translate[entry['category_id']]})
    categories = [{'id': number, 'name': name} for name, number in index.items()]
    return {'images': record['images'], 'annotations': annotations, 'categories': categories}


RECIPE = Recipe(
    'hsdb_instrument', 'surgical instrument parts, 17 or 33 classes, boxes (detection)',
    'the hSDB-instrument project page (data on request by e-mail)',
    """  real/{train,val[,test]}.json   COCO, file_name relative to real/
  real/...                       frames
  [syn.json  syn/...]            rendered frames, posed
  [dr.json   dr/...]             rendered frames, domain randomisation
(the release has no fixed layout: arrange it like this, one surgery at a time)""", build,
)
