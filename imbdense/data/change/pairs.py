"""Which files make a pair: folders of equal names, or the columns of a list."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imbdense.data.readers.errors import LabelReadError
from imbdense.data.readers.splits import IMAGE_SUFFIXES, LABEL_SUFFIXES, bare_name, list_files


@dataclass(frozen=True)
class PairFolders:
    """Where the files of all pairs lie.

    Attributes:
        images: one folder per date, at least two.
        change: folder of the change maps; ``None`` = none.
        land_cover: one folder per date, or none at all.
        image_suffix, label_suffix: endings to cut off from the names; '' = the file type.
    """

    images: tuple[str, ...]
    change: str | None = None
    land_cover: tuple[str, ...] = ()
    image_suffix: str = ''
    label_suffix: str = ''

    def __post_init__(self) -> None:
        if len(self.images) < 2:
            raise ValueError(f'a pair needs the image folders of at least two dates, but got {list(self.images)}.')
        if self.land_cover and len(self.land_cover) != len(self.images):
            raise ValueError(
                f'{len(self.images)} dates need as many folders of land cover, but got {list(self.land_cover)}.'
            )


@dataclass(frozen=True)
class PairFiles:
    """The files of one pair: images per date, change map, land cover per date (empty without)."""

    images: tuple[str, ...]
    change: str | None
    land_cover: tuple[str, ...]


def list_pairs(
    folders: PairFolders, split_file: str | Path | None = None, faults: list[LabelReadError] | None = None
) -> list[PairFiles]:
    """Return the pairs of the folders, sorted by name, or of a split file, in its order.

    Lines of a split file hold one name for all files; or one name per date and the change map's; or these and one land
    cover name per date, as open-cd writes them (3 or 5 columns for two dates). Names are relative to the folders, with
    or without suffix.

    Args:
        folders: where to look.
        split_file: ``None`` = every pair of the folders; the dates must then hold the same names.
        faults: a list to collect missing files in instead of raising at the first; such pairs are left out.

    Raises:
        LabelReadError: a folder or split file is missing or empty, a line has another number of columns, a file is
            missing (it is named).
    """
    dates = len(folders.images)
    images = [list_files(folder, folders.image_suffix, IMAGE_SUFFIXES) for folder in folders.images]
    labels = [
        list_files(folder, folders.label_suffix, LABEL_SUFFIXES)
        for folder in ([] if folders.change is None else [folders.change]) + list(folders.land_cover)
    ]
    places = [*folders.images, *([] if folders.change is None else [folders.change]), *folders.land_cover]
    rows = _names(split_file, folders, images) if split_file else [(name,) for name in _all_names(images)]
    found = []
    for row in rows:
        # A list without columns of land cover calls it as it calls the change map; one with them serves without, too.
        names = row * len(places) if len(row) == 1 else (row + row[-1:] * (len(places) - len(row)))[: len(places)]
        missing = [number for number, name in enumerate(names) if name not in (images + labels)[number]]
        if missing:
            fault = _missing(places[missing[0]], names[missing[0]], folders, missing[0] < dates)
            if faults is None:
                raise fault
            faults.append(fault)
            continue
        files = [(images + labels)[number][name] for number, name in enumerate(names)]
        change = None if folders.change is None else files[dates]
        found.append(PairFiles(tuple(files[:dates]), change, tuple(files[dates + (change is not None) :])))
    return found


def _all_names(images: Sequence[dict[str, str]]) -> list[str]:
    """The names of any date, so that one which lacks a date is found missing there."""
    return sorted(set().union(*images))


def _names(path: str | Path, folders: PairFolders, images: Sequence[dict[str, str]]) -> list[tuple[str, ...]]:
    """The names of every line of a split file."""
    try:
        lines = [line.strip() for line in Path(path).read_text(encoding='utf-8-sig').splitlines()]
    except FileNotFoundError as error:
        raise LabelReadError(path, 'missing', 'does not exist.', 'Check data_root and ann_file.') from error
    except (OSError, UnicodeDecodeError) as error:
        raise LabelReadError(path, 'unreadable', f'is no text file ({error}).', 'Write one pair per line.') from error
    lines = [line for line in lines if line and not line.startswith('#')]
    if not lines:
        raise LabelReadError(path, 'empty', 'names no pairs.', 'Write one pair per line.')
    dates = len(folders.images)
    allowed = (1, dates + 1, 2 * dates + 1) if folders.change is not None else (1, dates)
    rows = []
    for line in lines:
        whole = bare_name(line, folders.image_suffix)
        words = (line,) if whole in images[0] else tuple(line.split())
        if len(words) not in allowed:
            raise LabelReadError(
                path, 'schema', f'has the line {line!r} of {len(words)} columns.',
                f'For {dates} dates a line has {" or ".join(map(str, allowed))}: one name for all files, or images, '
                f'change map, land cover of each date.',
            )
        rows.append(
            tuple(
                bare_name(word, folders.image_suffix if len(words) == 1 or number < dates else folders.label_suffix)
                for number, word in enumerate(words)
            )
        )
    return rows


def _missing(folder: str, name: str, folders: PairFolders, image: bool) -> LabelReadError:
    """The error for a file that is not there."""
    suffix = folders.image_suffix if image else folders.label_suffix
    return LabelReadError(
        os.path.join(folder, name + suffix), 'missing', 'does not exist, but other files of its pair do.',
        'Every date and label of a pair needs its file: correct the folders (data_prefix), the suffix or the list.',
    )
