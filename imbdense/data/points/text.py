"""Text files of points as named columns: blanks or commas, with or without a header row."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbdense.data.points.errors import PointReadError
from imbdense.data.points.fields import Fields

COMMENT = ('#', '//')
BLOCK = 1_000_000
"""Lines that are parsed at once where the caller does not say."""


class TextSource:
    """Columns of a text file; see :class:`~imbdense.data.points.fields.FieldSource`. All numbers are float64.

    The first line is a header row when one of its words is no number (a leading ``//`` or ``#`` is taken off). Commas,
    semicolons, tabs or blanks separate. Columns named ``_`` are left out.

    Args:
        path: the file. columns: meaning of the columns, in order; needed where there is no header row and more than
            three columns; where both are there, ``columns`` counts.

    Raises:
        PointReadError: an empty file, unknown meaning of the columns, a line with another number of columns or with
            something that is no number (the line is named).
    """

    def __init__(self, path: Path, columns: Sequence[str] | None = None) -> None:
        self.path = path
        self.crs: str | None = None
        self.separator, words = _first_line(path)
        self.header = not all(_is_number(word) for word in words)
        self.columns = self._columns(columns, [word.strip('"\' ') for word in words])
        self.names = tuple(name for name in self.columns if name != '_')
        self.usual = self.names

    def chunks(self, names: Sequence[str], size: int | None) -> Iterator[Fields]:
        """Yield the named columns, ``size`` points at a time; memory follows ``size``, not the file."""
        blocks: Iterable[NDArray[np.float64]] = self._blocks(size or BLOCK)
        if size is None:
            found = list(blocks)
            blocks = [np.concatenate(found)] if found else []
        for block in blocks:
            yield {name: block[:, self.columns.index(name)] for name in names}

    def _columns(self, columns: Sequence[str] | None, words: list[str]) -> tuple[str, ...]:
        if columns is not None:
            if len(columns) != len(words):
                raise PointReadError(
                    self.path, 'columns', f'has {len(words)} columns in line 1, expected {len(columns)} '
                    f'({", ".join(columns)}).', 'Give the columns of this file (columns=).',
                )
            return tuple(columns)
        if self.header:
            return tuple(words)
        if len(words) == 3:
            return ('x', 'y', 'z')
        raise PointReadError(
            self.path, 'columns', f'has {len(words)} columns and no header row.',
            "Say what they are, for example columns=('x', 'y', 'z', 'r', 'g', 'b'), or write a header row.",
        )

    def _blocks(self, size: int) -> Iterator[NDArray[np.float64]]:
        """Tables (n, columns), n <= size."""
        with open(self.path, encoding='utf-8-sig', errors='replace') as handle:
            number = 1
            if self.header:
                while not handle.readline().strip():
                    number += 1
                number += 1
            while lines := list(islice(handle, size)):
                table = self._parse(lines, number)
                number += len(lines)
                if len(table):
                    yield table

    def _parse(self, lines: list[str], first: int) -> NDArray[np.float64]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')  # a block of nothing but comments
                table = np.loadtxt(lines, delimiter=self.separator, ndmin=2, comments=COMMENT)
        except ValueError:
            raise self._bad_line(lines, first) from None
        if table.size and table.shape[1] != len(self.columns):
            raise self._bad_line(lines, first)
        return table.reshape(-1, len(self.columns))

    def _bad_line(self, lines: list[str], first: int) -> PointReadError:
        """Find the first line that cannot be used; slow, but only the error needs it."""
        for number, line in enumerate(lines, first):
            words = _split(_without_comment(line, whole=True), self.separator)
            shown = repr(line.rstrip()[:80])
            if words and len(words) != len(self.columns):
                what = f'has {len(words)} columns in line {number}, expected {len(self.columns)}: {shown}.'
                return PointReadError(self.path, 'columns', what, 'Mend or remove this line.')
            if not all(_is_number(word) for word in words):
                what = f'holds something that is no number in line {number}: {shown}.'
                return PointReadError(self.path, 'columns', what, 'Mend or remove this line.')
        return PointReadError(self.path, 'unreadable', 'cannot be read as a table of numbers.', 'Check the file.')


def count_columns(path: Path) -> int:
    """Number of columns of a text file, by its first line."""
    return len(_first_line(path)[1])


def _first_line(path: Path) -> tuple[str | None, list[str]]:
    """What separates columns (``None`` = blanks), and the words of the first line that is not empty."""
    with open(path, encoding='utf-8-sig', errors='replace') as handle:
        first = next((line for line in handle if line.strip()), '')
    if not first:
        raise PointReadError(path, 'empty', 'holds no points.', 'Leave it out, or check how it was made.')
    separator = next((mark for mark in ',;\t' if mark in first), None)
    return separator, _split(_without_comment(first), separator)


def _without_comment(line: str, whole: bool = False) -> str:
    """A header without its leading mark; with ``whole``, a line without everything from the mark on."""
    for mark in COMMENT:
        if whole:
            line = line.split(mark)[0]
        elif line.lstrip().startswith(mark):
            line = line.lstrip()[len(mark) :]
    return line.strip()


def _split(line: str, separator: str | None) -> list[str]:
    return line.strip().split(separator) if line.strip() else []


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
