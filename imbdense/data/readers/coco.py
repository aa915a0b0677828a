"""COCO json, read tolerantly: spelling variants, ids from 0 or with gaps, crowd, boxes that are no boxes."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imbdense.data.finding import Finding
from imbdense.data.readers.detection import BoxCollector, DetectionAnnotations, ImageInfo
from imbdense.data.readers.errors import LabelReadError

_KEYS = {
    'images': ('images', 'image'),
    'annotations': ('annotations', 'annotation'),
    'categories': ('categories', 'category'),
}
_FILE_NAMES = ('file_name', 'filename', 'fileName', 'name', 'path')


def read_coco(path: str | Path, classes: Sequence[str] | None = None) -> DetectionAnnotations:
    """Read a COCO detection file.

    Accepted besides the standard: ``annotation``, ``image``, ``category`` as keys; ``filename``; category ids from 0,
    with gaps or as text; missing ``area``, ``iscrowd``, ``width``, ``height``; boxes that leave the image (clipped) or
    have no area (dropped). What was changed is in ``findings``.

    Args:
        path: the json file.
        classes: names in the wanted order; default all categories by ascending id. Boxes of other categories are left
            out. (They are a finding only when the file does not list their id.)

    Raises:
        LabelReadError: missing, no JSON, no COCO file, no images, double ids, or a class that the file does not have.
    """
    path = Path(path)
    record = _load(path)
    images = _images(record, path)
    names = _categories(record, path)
    wanted = list(names.values()) if classes is None else list(classes)
    missing = [name for name in wanted if name not in names.values()]
    if missing:
        raise LabelReadError(
            path, 'schema', f'has no category {missing}; it has {list(names.values())}.',
            'Correct the classes asked for (metainfo.classes in a config), or list the category in the file: it needs '
            'no annotation.'
        )
    label_of = {identifier: wanted.index(name) for identifier, name in names.items() if name in wanted}
    index_of = {image.id: index for index, image in enumerate(images)}
    collector = BoxCollector(str(path))
    faults: Counter[str] = Counter()
    annotations = _part(record, 'annotations', path, optional=True)
    for number, annotation in enumerate(annotations):
        fault = _add(collector, number, annotation, index_of, label_of, names)
        if fault is not None:
            faults[fault] += 1
            faults.setdefault(f'first {fault}', number)
    ids = {name: identifier for identifier, name in names.items()}
    return collector.finish(
        wanted, [ids[name] for name in wanted], images, _findings(faults, path), len(annotations)
    )


def _load(path: Path) -> Mapping[str, Any]:
    """Parse the file."""
    try:
        record = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError as error:
        raise LabelReadError(path, 'missing', 'does not exist.', 'Check data_root and ann_file.') from error
    except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
        raise LabelReadError(
            path, 'unreadable', f'is not valid JSON ({error}).', 'It is probably incomplete: get it again.'
        ) from error
    if not isinstance(record, dict):
        raise LabelReadError(
            path,
            'schema',
            f'holds a {type(record).__name__} instead of an object.',
            'A COCO file is an object with images, annotations and categories (a list is a result file).',
        )
    return record


def _part(record: Mapping[str, Any], name: str, path: Path, *, optional: bool = False) -> list[Any]:
    """One of the three lists, by any of its spellings."""
    for key in _KEYS[name]:
        value = record.get(key)
        if isinstance(value, list) and all(isinstance(item, dict) for item in value):
            return value
        if key in record:
            raise LabelReadError(path, 'schema', f"'{key}' is not a list of objects.", 'Write it as COCO does.')
    if optional:
        return []
    raise LabelReadError(
        path, 'schema', f"has no '{name}'; it has {sorted(record)[:8]}.", 'Is this a COCO detection file?'
    )


def _images(record: Mapping[str, Any], path: Path) -> list[ImageInfo]:
    """The images; ids are unique."""
    entries = _part(record, 'images', path)
    if not entries:
        raise LabelReadError(path, 'empty', 'lists no images.', 'It is an empty COCO file: export it again.')
    images = []
    for number, entry in enumerate(entries):
        name = next((entry[key] for key in _FILE_NAMES if key in entry), None)
        if 'id' not in entry or not isinstance(name, str):
            raise LabelReadError(
                path,
                'schema',
                f'image number {number} lacks an id or a file name ({sorted(entry)}).',
                f'Each image needs id and file_name (or one of {list(_FILE_NAMES[1:])}).',
            )
        images.append(ImageInfo(entry['id'], name, int(entry.get('width') or 0), int(entry.get('height') or 0)))
    double = [identifier for identifier, count in Counter(image.id for image in images).items() if count > 1]
    if double:
        raise LabelReadError(path, 'schema', f'has several images with the ids {double[:5]}.', 'Ids must be unique.')
    return images


def _categories(record: Mapping[str, Any], path: Path) -> dict[Any, str]:
    """Category id -> name, by ascending id."""
    entries = _part(record, 'categories', path)
    names = {entry.get('id'): str(entry.get('name')) for entry in entries if 'id' in entry and 'name' in entry}
    if not names or len(names) != len(entries):
        raise LabelReadError(
            path,
            'schema',
            f'has {len(entries)} categories, of which {len(names)} have their own id and a name.',
            'Each category needs a unique id and a name.',
        )
    if len(set(names.values())) != len(names):
        double = [name for name, count in Counter(names.values()).items() if count > 1]
        raise LabelReadError(path, 'schema', f'has several categories called {double}.', 'Rename or merge them.')
    numeric = all(isinstance(identifier, int) for identifier in names)
    return dict(sorted(names.items(), key=lambda item: item[0] if numeric else str(item[0])))


def _add(
    collector: BoxCollector,
    number: int,
    annotation: Mapping[str, Any],
    index_of: Mapping[Any, int],
    label_of: Mapping[Any, int],
    names: Mapping[Any, str],
) -> str | None:
    """Add annotation ``number``, or return the kind of its fault."""
    category = annotation.get('category_id')
    if category not in names:
        return 'unknown_category'
    image = index_of.get(annotation.get('image_id'))
    if image is None:
        return 'unknown_image'
    if category not in label_of:
        return None
    box = annotation.get('bbox')
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(value, (int, float)) for value in box):
        return 'no_box'
    score = annotation.get('score', 1.0)
    if not isinstance(score, (int, float)) or not math.isfinite(score):
        return 'no_score'
    x, y, width, height = map(float, box)
    area = annotation.get('area')
    collector.add(
        image,
        label_of[category],
        (x, y, x + width, y + height),
        crowd=bool(annotation.get('iscrowd') or annotation.get('ignore')),
        area=float(area) if isinstance(area, (int, float)) else -1.0,
        mask=annotation.get('segmentation') or None,
        score=float(score),
        entry=number,
    )
    return None


def _findings(faults: Counter[str], path: Path) -> list[Finding]:
    """One error per kind of fault."""
    texts = {
        'unknown_category': (
            'annotations of category ids that are not listed',
            'Add the categories or correct the ids.',
        ),
        'unknown_image': ('annotations of image ids that are not listed', 'Add the images or remove the annotations.'),
        'no_score': ('annotations whose score is no number', 'Write a number, or leave score out (1).'),
        'no_box': ('annotations without a bbox of four numbers', 'Write bbox as [x, y, width, height].'),
    }
    return [
        Finding(
            'error',
            kind,
            str(path),
            f'has {faults[kind]} {what} (the first is number {faults["first " + kind]}).',
            cure,
        )
        for kind, (what, cure) in texts.items()
        if faults[kind]
    ]
