"""Bare tables of numbers: ``.bin`` (float32 rows, as scans of KITTI) and ``.npy``; and ``.npz``, which caches use."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.points.errors import PointReadError
from imbdense.data.points.fields import Fields

KITTI_COLUMNS = ('x', 'y', 'z', 'intensity')
"""Columns of a KITTI or SemanticKITTI scan: metres in the frame of the sensor (x forward, z up), reflectance 0 to 1."""


class TableSource:
    """Columns of ``.bin`` and ``.npy`` files; see :class:`~imbdense.data.points.fields.FieldSource`.

    Args:
        path: the file. columns: their meaning in order; KITTI's four for ``.bin``, x, y, z for an ``.npy`` of three.
    """

    def __init__(self, path: Path, columns: Sequence[str] | None = None) -> None:
        self.path = path
        self.crs: str | None = None
        self._table = self._scan(columns) if path.suffix.lower() == '.bin' else self._array()
        width = self._table.shape[1]
        known = columns or (KITTI_COLUMNS if path.suffix.lower() == '.bin' else ('x', 'y', 'z'))
        if len(known) != width:
            raise PointReadError(
                path, 'columns', f'has {width} columns, expected {len(known)} ({", ".join(known)}).',
                'Give the columns of this file (columns=).',
            )
        self.names = self.usual = tuple(known)

    def chunks(self, names: Sequence[str], size: int | None) -> Iterator[Fields]:
        """Yield the named columns, ``size`` points at a time."""
        step = size or max(len(self._table), 1)
        for first in range(0, len(self._table), step):
            block = np.array(self._table[first : first + step])
            yield {name: block[:, self.names.index(name)] for name in names}

    def _scan(self, columns: Sequence[str] | None) -> NDArray[Any]:
        width, size = len(columns or KITTI_COLUMNS), self.path.stat().st_size
        if size % (4 * width):
            raise PointReadError(
                self.path, 'truncated', f'has {size} bytes, no multiple of {4 * width} ({width} float32 per point).',
                'Copy it anew, or give its columns (columns=).',
            )
        if size == 0:
            return np.zeros((0, width), np.float32)
        return np.memmap(self.path, '<f4', 'r').reshape(-1, width)

    def _array(self) -> NDArray[Any]:
        try:
            table = np.load(self.path, mmap_mode='r', allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise PointReadError(self.path, 'unreadable', f'is no whole array ({error}).', 'Write it anew.') from error
        if table.ndim != 2:
            raise PointReadError(self.path, 'columns', f'has shape {table.shape}.', 'Expected (N, columns).')
        return table


class NpzSource:
    """Arrays of an ``.npz`` as columns; ``xyz`` and ``rgb`` (N, 3) are taken apart into their axes.

    Such a file is read whole, whatever the chunk: it is meant for scenes that fit into memory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise PointReadError(
                path, 'unreadable', f'is no whole npz archive of plain arrays ({error}).', 'Write it anew.'
            ) from error
        self.crs = str(arrays.pop('crs')) if 'crs' in arrays else None
        if 'xyz' not in arrays:
            raise PointReadError(path, 'fields', 'has no array xyz.', f'It holds {", ".join(arrays) or "nothing"}.')
        self.count = len(arrays['xyz'])
        for name, axes in (('xyz', ('x', 'y', 'z')), ('rgb', ('red', 'green', 'blue'))):
            if name in arrays:
                values = arrays.pop(name)
                if values.shape != (self.count, 3):
                    raise PointReadError(path, 'fields', f'has {name} of shape {values.shape}.', 'Expected (N, 3).')
                arrays.update({axis: values[:, number] for number, axis in enumerate(axes)})
        wrong = [name for name, values in arrays.items() if values.ndim == 0 or len(values) != self.count]
        if wrong:
            raise PointReadError(path, 'fields', f'has {wrong[0]} of another length than xyz.', 'Write it anew.')
        self._arrays = arrays
        self.names = self.usual = tuple(arrays)

    def chunks(self, names: Sequence[str], size: int | None) -> Iterator[Fields]:
        """Yield slices of the arrays."""
        step = size or max(self.count, 1)
        for first in range(0, self.count, step):
            yield {name: self._arrays[name][first : first + step] for name in names}
