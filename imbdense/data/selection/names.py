"""Lists of image names in any of the usual files, and their match with the images of a pool."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from imbdense.data.readers.coco import read_coco
from imbdense.data.readers.splits import IMAGE_SUFFIXES, read_split
from imbdense.data.selection.selection_file import SelectionError, is_selection, read_selection

Way = Callable[[str], int | None]


def read_names(path: str | os.PathLike[str]) -> list[str]:
    """The images that a file names: ``selection.json``, COCO json, a JSON list of names, or one name per line.

    A selection names the images that were labelled before it (``selected``), then those it chose: all that are labelled
    once it is done, so that each batch follows from the last file.

    Raises:
        SelectionError: missing, not readable, or none of these. LabelReadError: a broken COCO or text file.
    """
    file = Path(path)
    if file.suffix != '.json':
        return read_split(file)
    try:
        record = json.loads(file.read_text(encoding='utf-8'))
    except FileNotFoundError as error:
        raise SelectionError(f'{path} does not exist.') from error
    except (OSError, ValueError) as error:
        raise SelectionError(f'{path} cannot be read ({error}).') from error
    if is_selection(record):
        selection = read_selection(file)
        return [*selection.get('selected', ()), *(str(entry['image_id']) for entry in selection['records'])]
    if isinstance(record, list) and all(isinstance(name, str) for name in record):
        return record
    return [image.file_name for image in read_coco(file).images]


def match_names(wanted: Sequence[str], available: Sequence[str], *, what: str, where: str) -> list[int]:
    """Places of ``wanted`` in ``available``.

    Names match exactly, or without the image type (``.png``, ...), or where all names of one side have the same ending
    more (split files name ``town/0001`` for ``town/0001_leftImg8bit.png``).

    Raises:
        SelectionError: names that match none (the first are listed), or several; ``what`` and ``where`` are named.
    """
    place = {name: number for number, name in enumerate(available)}
    stems: dict[str, list[str]] = {}
    for name in available:
        stems.setdefault(_stem(name), []).append(name)
    single = {stem: place[names[0]] for stem, names in stems.items() if len(names) == 1}
    best: list[int] = []
    for ways in ([place.get], [lambda name: single.get(_stem(name))], _endings(wanted, available, place)):
        complete = set()
        for way in ways:
            found = [number for number in map(way, wanted) if number is not None]
            best = max(best, found, key=len)
            if len(found) == len(wanted) and len(set(found)) == len(set(wanted)):
                complete.add(tuple(found))
        if len(complete) == 1:
            return list(complete.pop())
        if complete:
            raise SelectionError(f'{what}: {list(wanted[:3])} each match several names in {where}, for example '
                                 f'{[available[found[0]] for found in sorted(complete)]}. Give whole names.')
    known = {available[number] for number in best} | {_stem(available[number]) for number in best}
    lost = [name for name in wanted if name not in known and _stem(name) not in known]
    raise SelectionError(
        f'{len(wanted) - len(best)} of {len(wanted)} {what} are not in {where}, for example '
        f'{(lost or list(wanted))[:3]}; it names {list(available[:3])}.'
    )


def _endings(wanted: Sequence[str], available: Sequence[str], place: Mapping[str, int]) -> list[Way]:
    """One way for every ending that the first wanted name lacks, or has too much."""
    if not wanted:
        return []
    first, ways = wanted[0], []
    for ending in sorted({name[len(first) :] for name in available if name.startswith(first)}):
        ways.append(lambda name, ending=ending: place.get(name + ending))
    for ending in sorted({first[len(name) :] for name in available if name and first.startswith(name)}):
        ways.append(lambda name, ending=ending: place.get(name.removesuffix(ending)))
    return ways


def _stem(name: str) -> str:
    """A name without the ending of an image type."""
    stem, ending = os.path.splitext(name)
    return stem if ending.lower() in IMAGE_SUFFIXES else name
