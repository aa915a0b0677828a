"""Pascal VOC folders: one XML per image, any class names."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from imbdense.data.finding import Finding
from imbdense.data.readers.detection import BoxCollector, DetectionAnnotations, ImageInfo
from imbdense.data.readers.errors import LabelReadError
from imbdense.data.readers.masks import mask_size
from imbdense.data.readers.splits import IMAGE_SUFFIXES, list_files, read_split


def read_voc(
    root: str | Path,
    split: str | Path | None = None,
    classes: Sequence[str] | None = None,
    *,
    image_dir: str = 'JPEGImages',
    annotation_dir: str = 'Annotations',
) -> DetectionAnnotations:
    """Read a VOC folder.

    VOC counts pixels from 1 and includes the last one, so a box is (xmin - 1, ymin - 1, xmax, ymax): a box of one
    pixel has area 1. Objects marked ``difficult`` are kept as crowd.

    Args:
        root: folder with ``image_dir`` and ``annotation_dir``.
        split: file with one name per line, relative to ``root`` (``ImageSets/Main/train.txt``); None = every XML.
        classes: names in the wanted order; default every name in the whole folder (not only in the split, so that
            all splits have the same list), sorted. Objects with other names are left out.

    Raises:
        LabelReadError: a folder, XML or image is missing, an XML is broken or lacks what VOC requires.
    """
    root = Path(root)
    images = list_files(root / image_dir, '', IMAGE_SUFFIXES)
    if split is None:
        names = sorted(list_files(root / annotation_dir, '.xml', ()))
    else:
        names = read_split(root / split)
    wanted = list(classes) if classes is not None else voc_classes(root / annotation_dir)
    collector = BoxCollector(str(root / annotation_dir))
    infos: list[ImageInfo] = []
    unknown: dict[str, int] = {}
    for name in names:
        path = root / annotation_dir / f'{name}.xml'
        if name not in images:
            raise LabelReadError(
                root / image_dir / f'{name}.jpg',
                'missing',
                f'does not exist, but is named by {split or path}.',
                'Add the image or remove its name.',
            )
        tree = _parse(path)
        width, height = _size(tree, images[name])
        infos.append(ImageInfo(name, os.path.relpath(images[name], root), width, height))
        for node in tree.findall('object'):
            label = (node.findtext('name') or '').strip()
            if label in wanted:
                difficult = (node.findtext('difficult') or '0').strip() not in ('0', '')
                collector.add(len(infos) - 1, wanted.index(label), _box(node, path), crowd=difficult)
            else:
                unknown[label] = unknown.get(label, 0) + 1
    findings = []
    if unknown:
        findings.append(
            Finding(
                'note',
                'other_classes',
                str(root / annotation_dir),
                f'holds objects of other names: {unknown}.',
                'They are left out; add them to metainfo.classes if they are wanted.',
            )
        )
    return collector.finish(wanted, wanted, infos, findings)


def voc_classes(folder: str | Path) -> list[str]:
    """Every object name in the XML files of a folder, sorted.

    Raises:
        LabelReadError: the folder or its files are missing or broken, or no file holds an object.
    """
    names: set[str] = set()
    for path in list_files(folder, '.xml', ()).values():
        names.update((node.findtext('name') or '').strip() for node in _parse(Path(path)).findall('object'))
    names.discard('')
    if not names:
        raise LabelReadError(folder, 'empty', 'holds no object in any XML.', 'Check the folder, or give the classes.')
    return sorted(names)


def _parse(path: Path) -> ElementTree.Element:
    """The root element."""
    try:
        return ElementTree.parse(path).getroot()
    except FileNotFoundError as error:
        raise LabelReadError(path, 'missing', 'does not exist.', 'Check the split file and the folder.') from error
    except (ElementTree.ParseError, OSError, UnicodeDecodeError) as error:
        raise LabelReadError(
            path, 'unreadable', f'is not valid XML ({error}).', 'It is probably incomplete: get it again.'
        ) from error


def _size(tree: ElementTree.Element, image: str) -> tuple[int, int]:
    """(width, height) from the XML, else (missing or 0, as some tools write) from the image."""
    try:
        width, height = (int(float(tree.findtext(f'size/{side}') or 0)) for side in ('width', 'height'))
    except ValueError:
        width = height = 0
    if width > 0 and height > 0:
        return width, height
    height, width = mask_size(image)
    return width, height


def _box(node: ElementTree.Element, path: Path) -> tuple[float, float, float, float]:
    """Corners counted from 0, the far ones exclusive; a box that is no box becomes NaN and is dropped later."""
    try:
        x1, y1, x2, y2 = (float(node.findtext(f'bndbox/{key}') or 'x') for key in ('xmin', 'ymin', 'xmax', 'ymax'))
    except ValueError:
        return (math.nan,) * 4
    return x1 - 1, y1 - 1, x2, y2
