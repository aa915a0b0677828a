"""Transition priors as CSV files: one row per land cover before, one column per land cover after."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbdense.utils.files import atomic_write_text

CORNER = 'from \\ to'


def write_transitions(path: str | os.PathLike[str], names: Sequence[str], matrix: NDArray[np.floating]) -> None:
    """Write (K, K) shares with the class names in the first row and column, readable by any spreadsheet."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator='\n')
    rows.writerow([CORNER, *names])
    for name, values in zip(names, np.asarray(matrix, dtype=np.float64)):
        rows.writerow([name, *(f'{value:.9g}' for value in values)])
    atomic_write_text(path, text.getvalue())


def read_transitions(path: str | os.PathLike[str]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """(class names, (K, K) shares with sum 1) of a file as :func:`write_transitions` writes it.

    The numbers may be counts or shares; 0 = this transition cannot happen.

    Raises:
        ValueError: not such a table, names of rows and columns that differ, negative numbers, or only zeros. The
            message names the file and the row.
    """
    try:
        rows = [row for row in csv.reader(Path(path).read_text(encoding='utf-8').splitlines()) if row]
    except OSError as error:
        raise ValueError(f'{path} cannot be read as a table of transitions ({error.strerror}).') from error
    names = tuple(cell.strip() for cell in rows[0][1:]) if rows else ()
    size = len(names)
    if size < 1 or len(rows) != size + 1:
        raise ValueError(
            f'{path}: expected a header with the class names and one row for each, but it has {size} columns and '
            f'{max(len(rows) - 1, 0)} rows.'
        )
    matrix = np.zeros((size, size))
    for place, row in enumerate(rows[1:]):
        if row[0].strip() != names[place] or len(row) != size + 1:
            raise ValueError(f'{path}, row {place + 2}: expected {names[place]!r} and {size} numbers, but got {row}.')
        try:
            matrix[place] = [float(cell) for cell in row[1:]]
        except ValueError as error:
            raise ValueError(f'{path}, row {place + 2}: {error}.') from error
    if not np.isfinite(matrix).all() or matrix.min() < 0 or matrix.sum() == 0:
        raise ValueError(f'{path}: all numbers must be >= 0 and not all 0.')
    return names, matrix / matrix.sum()
