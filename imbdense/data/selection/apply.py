"""The annotations of the chosen images alone: a COCO json, a split file, or a plain list."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from imbdense.data.readers.splits import read_split
from imbdense.data.selection.names import match_names
from imbdense.data.selection.selection_file import SelectionError, read_selection
from imbdense.utils.files import atomic_write_json, atomic_write_text


def apply_selection(
    selection: str | os.PathLike[str], annotations: str | os.PathLike[str] | None, out: str | os.PathLike[str]
) -> int:
    """Write what the chosen images need, atomically, and return their number.

    Args:
        selection: ``selection.json``.
        annotations: a COCO json - ``out`` is the same with only the chosen images and their annotations, everything
            else as it was; a text file with one name per line - ``out`` holds the chosen lines; both in the order of
            the file. ``None`` - ``out`` lists the image ids in the order of choice.

    Raises:
        SelectionError: a file cannot be used, or lacks a chosen image (it is named). FileWriteError: the disk.
    """
    chosen = [str(entry['image_id']) for entry in read_selection(selection)['records']]
    if annotations is None:
        atomic_write_text(out, ''.join(f'{name}\n' for name in chosen))
    elif Path(annotations).suffix == '.json':
        subset = coco_subset(Path(annotations), chosen)
        try:
            atomic_write_json(out, subset, indent=None)
        except ValueError as error:
            raise SelectionError(f'{annotations} holds NaN or Infinity, which JSON does not know. Write numbers, or '
                                 f'leave the key out.') from error
    else:
        names = read_split(annotations)
        kept = set(match_names(chosen, names, what='chosen images', where=str(annotations)))
        atomic_write_text(out, ''.join(f'{name}\n' for number, name in enumerate(names) if number in kept))
    return len(chosen)


def coco_subset(path: Path, chosen: list[str]) -> dict[str, Any]:
    """The content of a COCO file with only these images and their annotations.

    Raises:
        SelectionError: no COCO file, or it lacks one of the images.
    """
    try:
        record = json.loads(path.read_text(encoding='utf-8'))
        images, boxes = record['images'], record['annotations']
        names = [str(image['file_name']) for image in images]
        ids = [image['id'] for image in images]
        owners = [box['image_id'] for box in boxes]
    except FileNotFoundError as error:
        raise SelectionError(f'{path} does not exist.') from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SelectionError(f'{path} is no COCO file with images and annotations ({type(error).__name__}: {error}). '
                             f'`imbdense check {path}` tells more.') from error
    kept = set(match_names(chosen, names, what='chosen images', where=str(path)))
    wanted = {ids[number] for number in kept}
    return {
        **record, 'images': [image for number, image in enumerate(images) if number in kept],
        'annotations': [box for box, owner in zip(boxes, owners) if owner in wanted],
    }  # fmt: skip
