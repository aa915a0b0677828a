"""One run of a recipe: where it reads, where it writes, what is finished, and messages that help."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from imbdense.utils.files import atomic_open, atomic_write_bytes, atomic_write_json

IGNORE = 255
MANIFEST = 'prepare.json'
Item = TypeVar('Item')
Progress = Callable[[int, int, str], None]


class PrepareError(ValueError):
    """The source is not laid out as the recipe expects, or a file of it is broken; the message says what to do."""


def silent(done: int, total: int, what: str) -> None:
    """A progress callback that shows nothing."""


@dataclass
class Job:
    """What a recipe works with. Files appear whole or not at all, so what exists is finished and is skipped.

    Attributes:
        source: folder with the downloaded data set; only read.
        out: folder to fill with ``images/<split>``, ``labels/<split>``, ``annotations/<split>.json``.
        layout: the layout the recipe expects, shown when something is missing.
        copy: copy files instead of linking to the source.
        tile, overlap: window size and overlap in pixels for recipes that cut; 0 = whole images.
        progress: called as progress(done, total, what).
    """

    source: Path
    out: Path
    layout: str = ''
    copy: bool = False
    tile: int = 0
    overlap: int = 0
    progress: Progress = silent
    notes: list[str] = field(default_factory=list)

    def need(self, *parts: str) -> Path:
        """Return ``source/parts`` or raise :class:`PrepareError` that shows the expected layout."""
        path = self.source.joinpath(*parts)
        if not path.exists():
            raise self.error(f'{path} is missing')
        return path

    def need_one_of(self, *choices: str) -> Path:
        """Return the first of several spellings that exists."""
        for choice in choices:
            if (self.source / choice).exists():
                return self.source / choice
        raise self.error(f'none of {", ".join(choices)} is in {self.source}')

    def need_files(self, folder: Path, pattern: str) -> list[Path]:
        """Sorted files of a folder; none is an error."""
        found = sorted(path for path in folder.glob(pattern) if path.is_file())
        if not found:
            raise self.error(f'no file matches {pattern} in {folder}')
        return found

    def error(self, what: str) -> PrepareError:
        """An error with the expected layout below the message."""
        return PrepareError(f'{what}.\nExpected layout of the source folder:\n{self.layout}')

    def note(self, text: str) -> None:
        """Say something once at the end (dropped boxes, unlabelled pixels)."""
        self.notes.append(text)

    def each(self, items: Sequence[Item], what: str) -> Iterator[Item]:
        """Iterate with progress."""
        for number, item in enumerate(items):
            self.progress(number, len(items), what)
            yield item
        self.progress(len(items), len(items), what)

    def done(self, relative: str) -> bool:
        """Whether an output is finished."""
        return (self.out / relative).exists()

    def place(self, path: Path, relative: str) -> None:
        """Link (default) or copy one source file or folder to ``out/relative``; an existing one is left alone."""
        target = self.out / relative
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        if self.copy:
            _copy(path, target)
            return
        if target.is_symlink():
            target.unlink()  # a link whose source has moved
        target.symlink_to(path.resolve())

    def write_label(self, relative: str, label: NDArray[Any], palette: Sequence[Sequence[int]]) -> None:
        """Write a uint8 index mask (H, W) as palette PNG."""
        from PIL import Image

        image = Image.fromarray(np.ascontiguousarray(label, dtype=np.uint8), mode='P')
        colours = np.zeros((256, 3), np.uint8)
        colours[: len(palette)] = np.asarray(palette, np.uint8).reshape(-1, 3)
        image.putpalette(colours.tobytes())
        buffer = io.BytesIO()
        image.save(buffer, 'PNG')
        atomic_write_bytes(self.out / relative, buffer.getvalue())

    def write_image(self, relative: str, image: NDArray[Any]) -> None:
        """Write an RGB or grey uint8 image (H, W[, 3]) losslessly (PNG)."""
        from PIL import Image

        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(image)).save(buffer, 'PNG', compress_level=3)
        atomic_write_bytes(self.out / relative, buffer.getvalue())

    def write_json(self, relative: str, value: Any) -> None:
        """Write JSON (always anew: it is cheap and must fit the images)."""
        atomic_write_json(self.out / relative, value, indent=None)


def read_json(path: Path) -> Any:
    """Parse a JSON file of the source; broken text names the file."""
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise PrepareError(f'{path} is not valid JSON ({error}); the download is probably incomplete.') from error


def read_lines(job: Job, *parts: str) -> list[str]:
    """Non-empty lines of a list file."""
    lines = job.need(*parts).read_text(encoding='utf-8').split()
    if not lines:
        raise job.error(f'{job.source.joinpath(*parts)} is empty')
    return lines


def open_job(job: Job, recipe: str) -> None:
    """Check the folders and that ``out`` was not filled with other options; write the manifest.

    Raises:
        PrepareError: the source is no folder, ``out`` lies inside it, or holds another recipe's or option's files.
    """
    if not job.source.is_dir():
        raise job.error(f'the source folder {job.source} does not exist')
    source, out = job.source.resolve(), job.out.resolve()
    if out == source or source in out.parents:
        raise PrepareError(f'--out {job.out} lies inside the source {job.source}, which is only read; choose another.')
    options = {'recipe': recipe, 'tile': job.tile, 'overlap': job.overlap}
    manifest = job.out / MANIFEST
    if manifest.exists():
        before = read_json(manifest)
        differing = {key: before.get(key) for key, value in options.items() if before.get(key) != value}
        if differing:
            raise PrepareError(
                f'{job.out} was prepared with {differing}, now asked for {options}. Mixing them would give a wrong '
                f'data set: choose another --out, or remove {job.out} first.'
            )
    elif job.out.is_dir() and any(job.out.iterdir()):
        raise PrepareError(f'{job.out} is not empty and was not made by `imbdense prepare`; choose another --out.')
    else:
        atomic_write_json(manifest, {**options, 'finished': False})


def close_job(job: Job, recipe: str) -> None:
    """Mark the output as complete."""
    options = {'recipe': recipe, 'tile': job.tile, 'overlap': job.overlap}
    atomic_write_json(job.out / MANIFEST, {**options, 'finished': True, 'notes': job.notes})


def _copy(path: Path, target: Path) -> None:
    """Copy a file atomically, a folder file by file."""
    if path.is_dir():
        for part in sorted(path.rglob('*')):
            if part.is_file():
                _copy(part, target / part.relative_to(path))
        return
    if not target.exists():
        with open(path, 'rb') as read, atomic_open(target) as write:
            shutil.copyfileobj(read, write)
        os.utime(target, (path.stat().st_atime, path.stat().st_mtime))
