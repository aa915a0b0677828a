"""The standard layout of a data set of pairs, and how change masks are stored in others."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal, get_args

from imbdense.core.checks import check_choice
from imbdense.data.readers.errors import LabelReadError

FormatSegMap = Literal['to_binary', 'threshold']
IMAGE_FOLDERS = ('t1', 't2')
CHANGE_FOLDER = 'label_change'
LAND_COVER_FOLDERS = ('label_t1', 'label_t2')
RECORD = 'dataset.json'
GREY_MASK = ((0, 0, 0, 0), (1, 1, 1, 1), (255, 255, 255, 255))
"""(red, green, blue, index): masks of 0 and 255 that were saved with three equal channels."""
KEYS = ('classes', 'palette', 'land_cover', 'land_cover_palette')


def change_label_map(format_seg_map: FormatSegMap | None) -> dict[int, int] | None:
    """Return stored value -> class of change masks.

    ``None``: numbers are classes, 255 is ignored. ``'to_binary'``: 255 is changed, as in masks of 0 and 255 (and those
    of 0 and 1); other numbers stay what they are, which no two classes have, so that readers refuse them.
    ``'threshold'``: above 127 is changed.
    """
    if format_seg_map is None:
        return None
    check_choice('format_seg_map', format_seg_map, get_args(FormatSegMap), owner='change_label_map')
    if format_seg_map == 'to_binary':
        return {255: 1}
    return {value: int(value > 127) for value in range(256)}


def read_pair_record(data_root: str | os.PathLike[str] | None) -> dict[str, Any]:
    """Return ``classes``, ``palette``, ``land_cover`` and ``land_cover_palette`` of ``dataset.json``, where it is.

    Raises:
        LabelReadError: the file is there but damaged.
    """
    path = Path(data_root or '') / RECORD
    if data_root is None or not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text(encoding='utf-8'))
        return {key: record[key] for key in KEYS if record.get(key)}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise LabelReadError(path, 'unreadable', f'cannot be read ({error}).', 'Make the data set anew.') from error
