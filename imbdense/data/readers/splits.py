"""Lists of names that make a split, and pairs of images and labels in folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from imbdense.data.readers.errors import LabelReadError

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.tif', '.tiff', '.bmp', '.webp', '.jp2')
LABEL_SUFFIXES = ('.png', '.tif', '.tiff', '.bmp', '.gif')


def read_split(path: str | Path) -> list[str]:
    """Names in a split file, one per line; empty lines and lines that begin with # are left out.

    Of several columns (VOC writes ``name 1``) the first is taken, unless the whole line names something with spaces,
    which is then kept when every line has the same number of words.

    Raises:
        LabelReadError: missing, empty, no text, or a name that comes twice.
    """
    try:
        text = Path(path).read_text(encoding='utf-8-sig')
    except FileNotFoundError as error:
        raise LabelReadError(path, 'missing', 'does not exist.', 'Check data_root and ann_file.') from error
    except (OSError, UnicodeDecodeError) as error:
        raise LabelReadError(path, 'unreadable', f'is no text file ({error}).', 'Write one name per line.') from error
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith('#')]
    if not lines:
        raise LabelReadError(path, 'empty', 'names no files.', 'Write one name per line.')
    names = [_without_flag(line) for line in lines]
    double = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if double:
        raise LabelReadError(path, 'schema', f'names {double[:5]} more than once.', 'Each image belongs in it once.')
    return names


def pair_files(
    image_dir: str | Path,
    label_dir: str | Path | None,
    names: Sequence[str] | None = None,
    *,
    image_suffix: str = '',
    label_suffix: str = '',
    faults: list[LabelReadError] | None = None,
) -> list[tuple[str, str | None]]:
    """(image, label) paths, sorted by image, or in the order of ``names``.

    Without a suffix every known image type is taken and the label has the same name in front of its dot, in the same
    sub-folder. Suffixes may hold more than the type (``_leftImg8bit.png``, ``_labelTrainIds.png``).

    Args:
        names: names without (or with) suffix, relative to both folders; default every image in the folder.
        label_dir: None = images without labels.
        faults: a list to collect missing partners in instead of raising at the first one; such pairs are left out.

    Raises:
        LabelReadError: a folder is missing or empty; an image or label of the split is missing (it is named).
    """
    images = _stems(image_dir, image_suffix, IMAGE_SUFFIXES)
    labels = None if label_dir is None else _stems(label_dir, label_suffix, LABEL_SUFFIXES)
    chosen = sorted(images) if names is None else [bare_name(name, image_suffix) for name in names]
    pairs: list[tuple[str, str | None]] = []
    for stem in chosen:
        fault = None
        if stem not in images:
            fault = LabelReadError(
                os.path.join(image_dir, stem + image_suffix),
                'missing',
                'is in the split, but there is no such image.',
                'Correct the split file, the folder or img_suffix.',
            )
        elif labels is not None and stem not in labels:
            fault = LabelReadError(
                os.path.join(str(label_dir), stem + label_suffix),
                'missing',
                f'does not exist, but its image {images[stem]} does.',
                'Add the label, or list the labelled images in a split file (ann_file).',
            )
        if fault is not None and faults is None:
            raise fault
        if fault is not None and faults is not None:
            faults.append(fault)
            continue
        pairs.append((images[stem], None if labels is None else labels[stem]))
    return pairs


def list_files(folder: str | Path, suffix: str, known: Sequence[str]) -> dict[str, str]:
    """Name without suffix, relative to the folder -> path; of two types of one name the first in order is taken.

    Raises:
        LabelReadError: the folder is missing, or holds no such file.
    """
    return _stems(folder, suffix, known)


def _stems(folder: str | Path, suffix: str, known: Sequence[str]) -> dict[str, str]:
    """Walk a folder; hidden files and folders are left out."""
    folder = str(folder)
    if not os.path.isdir(folder):
        raise LabelReadError(folder, 'missing', 'is no folder.', 'Check data_root and data_prefix.')
    found: dict[str, str] = {}
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        for name in sorted(files):
            ending = _ending(name, suffix, known)
            if ending and not name.startswith('.'):
                path = os.path.join(parent, name)
                found.setdefault(os.path.relpath(path, folder)[: -len(ending)].replace(os.sep, '/'), path)
    if not found:
        wanted = f'ending in {suffix}' if suffix else f'of the types {", ".join(known)}'
        raise LabelReadError(folder, 'empty', f'holds no files {wanted}.', 'Check the folder and the suffixes.')
    return found


def _ending(name: str, suffix: str, known: Sequence[str]) -> str:
    """The part to cut off, '' if the file is of another kind."""
    if suffix:
        return suffix if name.endswith(suffix) else ''
    extension = os.path.splitext(name)[1]
    return extension if extension.lower() in known else ''


def bare_name(name: str, suffix: str) -> str:
    """A name of a list without ``suffix``; with '' without the ending of any type of image."""
    if suffix and name.endswith(suffix):
        return name[: -len(suffix)]
    stem, extension = os.path.splitext(name)
    return stem if extension.lower() in IMAGE_SUFFIXES else name


def _without_flag(line: str) -> str:
    """VOC's class lists end with -1, 0 or 1."""
    words = line.split()
    return ' '.join(words[:-1]) if len(words) > 1 and words[-1] in ('-1', '0', '1') else line
