"""Recognise a data set by its folders: no config needed to count or check it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imbdense.data.change.layout import CHANGE_FOLDER, IMAGE_FOLDERS, LAND_COVER_FOLDERS, read_pair_record
from imbdense.data.change.pairs import PairFolders, list_pairs
from imbdense.data.checks.splits import ChangeSplit, DetectionSplit, SegmentationSplit, Split, detection_split
from imbdense.data.finding import Finding
from imbdense.data.readers.coco import read_coco
from imbdense.data.readers.errors import LabelReadError
from imbdense.data.readers.labels import LabelFormat
from imbdense.data.readers.masks import read_mask
from imbdense.data.readers.splits import LABEL_SUFFIXES, list_files, pair_files, read_split
from imbdense.data.readers.voc import read_voc

LAYOUTS = """  images/ and labels/ (with or without train/ and val/ below, or with splits/*.txt): segmentation
  images/ and annotations/train.json, annotations/val.json: detection, COCO
  t1/, t2/ and label_change/, with label_t1/ and label_t2/ or without, and splits/*.txt: change between pairs
  JPEGImages/, Annotations/ and ImageSets/Main/train.txt: detection, Pascal VOC
  a folder of label masks, or a single COCO json"""


def folder_splits(path: str | Path, classes: Sequence[str] | None = None, task: str | None = None) -> list[Split]:
    """The splits in a folder or COCO file.

    A folder that holds labels *and* COCO annotations (generated scenes) is taken as segmentation unless ``task`` is
    ``'detection'``. Without ``classes`` they come from ``dataset.json`` or ``classes.txt`` (one per line) in the
    folder; otherwise the label values that occur in the first files name the classes.

    Raises:
        LabelReadError: the layout is none of those known (they are listed), or a file is broken.
    """
    path = Path(path)
    if path.is_file():
        return [_coco(path.parent.parent, path, classes)]
    if not path.is_dir():
        raise LabelReadError(path, 'missing', 'does not exist.', 'Give a config, a folder or a COCO json.')
    if (path / 'Annotations').is_dir() and (path / 'JPEGImages').is_dir():
        return list(_voc(path, classes))
    if (path / CHANGE_FOLDER).is_dir() and all((path / folder).is_dir() for folder in IMAGE_FOLDERS):
        return list(_pairs(path, classes))
    if (path / 'labels').is_dir() and task != 'detection':
        return list(_segmentation(path, classes))
    annotations = sorted((path / 'annotations').glob('*.json')) if (path / 'annotations').is_dir() else []
    if annotations:
        return [_coco(path, file, classes) for file in annotations if _is_coco(file)]
    return [_masks_only(path, classes)]


def _segmentation(root: Path, classes: Sequence[str] | None) -> list[SegmentationSplit]:
    """images/ + labels/ by sub-folder or split file."""
    lists = sorted((root / 'splits').glob('*.txt')) if (root / 'splits').is_dir() else []
    below = sorted(entry.name for entry in (root / 'labels').iterdir() if entry.is_dir() and entry.name[0] != '.')
    parts: list[tuple[str, str, list[str] | None]]
    if lists:
        parts = [(file.stem, '', read_split(file)) for file in lists]
    elif below:
        parts = [(name, name, None) for name in below]
    else:
        parts = [('all', '', None)]
    names, ignore = _classes_of(root, classes, root / 'labels')
    label_format = LabelFormat.of(names, ignore_index=ignore)
    splits = []
    for name, folder, chosen in parts:
        images, labels = root / 'images' / folder, root / 'labels' / folder
        splits.append(_paired(name, images if images.is_dir() else root / 'images', labels, chosen, label_format))
    return splits


def _pairs(root: Path, classes: Sequence[str] | None) -> list[ChangeSplit]:
    """Pairs of images in the standard layout, by split file."""
    record = read_pair_record(root)
    names, ignore = _classes_of(root, classes, root / CHANGE_FOLDER)
    covers = tuple(str(root / folder) for folder in LAND_COVER_FOLDERS) if record.get('land_cover') else ()
    folders = PairFolders(tuple(str(root / folder) for folder in IMAGE_FOLDERS), str(root / CHANGE_FOLDER), covers)
    lists = sorted((root / 'splits').glob('*.txt')) if (root / 'splits').is_dir() else []
    splits = []
    for file in lists or [None]:
        faults: list[LabelReadError] = []
        pairs = list_pairs(folders, file, faults)
        splits.append(
            ChangeSplit(
                file.stem if file else 'all',
                tuple(pair.images[0] for pair in pairs),
                tuple(str(pair.change) for pair in pairs),
                LabelFormat.of(names, ignore_index=ignore),
                str(root / CHANGE_FOLDER),
                file.stem if file else '',
                tuple(Finding('error', f.code, f.path, f.problem, f.cure) for f in faults),
                tuple(pairs),
                LabelFormat.of(record['land_cover']) if covers else None,
            )
        )
    return splits


def _paired(
    name: str, images: Path, labels: Path, chosen: list[str] | None, label_format: LabelFormat
) -> SegmentationSplit:
    """The pairs of one split; missing partners become findings, so that all of them are listed."""
    faults: list[LabelReadError] = []
    pairs = pair_files(images, labels, chosen, faults=faults)
    findings = [Finding('error', f.code, f.path, f.problem, f.cure) for f in faults]
    if chosen is None:
        used = {label for _, label in pairs}
        orphans = sorted(set(list_files(labels, '', LABEL_SUFFIXES).values()) - used)
        cure = 'Add the image, or remove the label; it is not used.'
        findings += [Finding('warning', 'label_without_image', path, 'has no image.', cure) for path in orphans]
    return SegmentationSplit(
        name,
        tuple(image for image, _ in pairs),
        tuple(label or '' for _, label in pairs),
        label_format,
        str(labels),
        name if chosen else '',
        tuple(findings),
    )


def _coco(root: Path, file: Path, classes: Sequence[str] | None) -> DetectionSplit:
    """One annotation file."""
    return detection_split(file.stem, read_coco(file, classes), str(_image_dir(root, file.stem)))


def _voc(root: Path, classes: Sequence[str] | None) -> list[DetectionSplit]:
    """The usual split files of ImageSets/Main, else everything."""
    folder = root / 'ImageSets' / 'Main'
    files = [folder / f'{name}.txt' for name in ('train', 'val', 'test') if (folder / f'{name}.txt').is_file()]
    if not files:
        return [detection_split('all', read_voc(root, None, classes), str(root))]
    return [detection_split(file.stem, read_voc(root, file.relative_to(root), classes), str(root)) for file in files]


def _masks_only(folder: Path, classes: Sequence[str] | None) -> SegmentationSplit:
    """A folder of label masks without images."""
    try:
        labels = tuple(sorted(list_files(folder, '', LABEL_SUFFIXES).values()))
    except LabelReadError as error:
        raise LabelReadError(folder, 'schema', 'is laid out in no way known here.', f'Known are:\n{LAYOUTS}') from error
    names, ignore = _classes_of(folder, classes, folder)
    return SegmentationSplit('all', (), labels, LabelFormat.of(names, ignore_index=ignore), str(folder))


def _classes_of(root: Path, classes: Sequence[str] | None, labels: Path) -> tuple[list[str], int]:
    """(class names, ignore index)."""
    if classes:
        return list(classes), 255
    if (root / 'dataset.json').is_file():
        record = json.loads((root / 'dataset.json').read_text('utf-8'))
        if record.get('classes'):
            return [str(name) for name in record['classes']], int(record.get('ignore_index', 255))
    if (root / 'classes.txt').is_file():
        return read_split(root / 'classes.txt'), 255
    highest = 0
    for file in sorted(list_files(labels, '', LABEL_SUFFIXES).values())[:64]:
        mask = read_mask(file)
        inside = mask[(mask >= 0) & (mask < 254)] if mask.ndim == 2 else np.zeros(0, np.int64)
        highest = max(highest, int(inside.max(initial=0)))
    return [str(value) for value in range(highest + 1)], 255


def _image_dir(root: Path, split: str) -> Path:
    """images/<split>, images/, or the folder itself."""
    choices = [root / 'images' / split, root / split, root / 'images', root]
    return next((choice for choice in choices if choice.is_dir()), root)


def _is_coco(file: Path) -> bool:
    """Left out: other JSON files beside the annotations."""
    with open(file, 'rb') as handle:
        head = handle.read(1)
    if head != b'{':
        return False
    try:
        return bool({'images', 'image'} & set(json.loads(file.read_text('utf-8'))))
    except ValueError:
        return True  # broken: let the reader say so


def looks_like_coco(path: str | os.PathLike[str]) -> bool:
    """Whether a json file is a COCO file rather than a config."""
    return str(path).endswith('.json') and _is_coco(Path(path))
