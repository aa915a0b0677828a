"""Write PLY, text and npz, chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from imbdense.data.points.cloud import PointCloud, concatenate_clouds
from imbdense.data.points.errors import PointWriteError

PLY_TYPES = {
    'i1': 'char', 'u1': 'uchar', 'i2': 'short', 'u2': 'ushort', 'i4': 'int', 'u4': 'uint', 'f4': 'float',
    'f8': 'double',
}
COUNT_DIGITS = 20
SHORT = {'r': 'red', 'g': 'green', 'b': 'blue'}
"""Other names of the colours in text files."""


def columns_of(cloud: PointCloud) -> dict[str, NDArray[Any]]:
    """The cloud as columns (N,): x, y, z, red, green, blue, attributes (of k columns: name_0, ...), semantic, instance.

    :func:`~imbdense.data.points.read.read_points` makes the same cloud of them again.
    """
    columns: dict[str, NDArray[Any]] = {axis: cloud.xyz[:, number] for number, axis in enumerate('xyz')}
    for name, values in cloud.attributes.items():
        if name == 'rgb':
            columns.update({colour: values[:, number] for number, colour in enumerate(('red', 'green', 'blue'))})
        elif values.ndim == 2:
            columns.update({f'{name}_{number}': values[:, number] for number in range(values.shape[1])})
        else:
            columns[name] = values
    for name, labels in (('semantic', cloud.semantic), ('instance', cloud.instance)):
        if labels is not None:
            columns[name] = labels
    return columns


class PlySink:
    """Little-endian PLY, element ``vertex``: coordinates as double, labels as int, attributes in their type.

    The number of points is filled in at the end; the room for its digits is a comment line.
    """

    def __init__(self, path: Path, handle: BinaryIO, first: PointCloud) -> None:
        self.path, self._handle, self._count = path, handle, 0
        columns = columns_of(first)
        self._dtype = np.dtype([(name, self._kind(name, values.dtype)) for name, values in columns.items()])
        self._write_header()

    def append(self, cloud: PointCloud) -> None:
        """Write the points of one chunk."""
        columns = columns_of(cloud)
        _check_same(self.path, tuple(columns), self._dtype.names or ())
        rows = np.empty(len(cloud), self._dtype)
        for name, values in columns.items():
            kind = self._dtype[name]
            if kind == np.int32 and values.size and np.abs(values).max() > np.iinfo(np.int32).max:
                raise PointWriteError(f'{self.path}: {name} has numbers beyond 32 bits, which PLY cannot hold.')
            rows[name] = values
        self._handle.write(rows.tobytes())
        self._count += len(cloud)

    def finish(self) -> None:
        """Fill in the number of points."""
        self._handle.seek(0)
        self._write_header()
        self._handle.seek(0, 2)

    def _write_header(self) -> None:
        digits = str(self._count)
        lines = ['ply', 'format binary_little_endian 1.0', 'comment ' + ' ' * (COUNT_DIGITS - len(digits)),
                 f'element vertex {digits}']
        lines += [f'property {PLY_TYPES[self._dtype[name].str[1:]]} {name}' for name in self._dtype.names or ()]
        self._handle.write(('\n'.join([*lines, 'end_header']) + '\n').encode('ascii'))

    def _kind(self, name: str, dtype: np.dtype[Any]) -> str:
        kind = {'b1': 'u1', 'i8': 'i4'}.get(dtype.str[1:], dtype.str[1:])
        if kind not in PLY_TYPES or not name.isascii() or ' ' in name:
            raise PointWriteError(f'{self.path}: PLY cannot hold {name!r} ({dtype}). Convert or rename it.')
        return f'<{kind}'


class TextSink:
    """Rows of text with a header row; numbers with as many digits as bring them back exactly.

    Args:
        separator: between the columns. columns: names of the header row and order of the columns; ``None`` = those of
            :func:`columns_of`. header: whether to write that row.
    """

    def __init__(
        self, path: Path, handle: BinaryIO, first: PointCloud, *, separator: str = ' ',
        columns: tuple[str, ...] | None = None, header: bool = True,
    ) -> None:  # fmt: skip
        self.path, self._handle, self._separator = path, handle, separator
        self._names = columns or tuple(columns_of(first))
        if header:
            handle.write((separator.join(self._names) + '\n').encode())

    def append(self, cloud: PointCloud) -> None:
        """Write the points of one chunk."""
        columns = columns_of(cloud)
        columns.update({short: columns[name] for short, name in SHORT.items() if name in columns})
        lacking = [name for name in self._names if name not in columns]
        if lacking:
            raise PointWriteError(f'{self.path}: this chunk has no {", ".join(lacking)}; all must have it.')
        texts = [_texts(columns[name]) for name in self._names]
        self._handle.write(''.join(self._separator.join(row) + '\n' for row in zip(*texts)).encode())

    def finish(self) -> None:
        """Nothing comes after the points."""


class NpzSink:
    """Arrays ``xyz``, ``semantic``, ``instance``, ``crs`` and every attribute under its name, not packed."""

    def __init__(self, path: Path, handle: BinaryIO, first: PointCloud) -> None:
        self.path, self._handle = path, handle
        self._clouds: list[PointCloud] = []

    def append(self, cloud: PointCloud) -> None:
        """Keep the points of one chunk until the end."""
        self._clouds.append(cloud)

    def finish(self) -> None:
        """Write the archive."""
        cloud = concatenate_clouds(self._clouds)
        arrays: dict[str, Any] = {'xyz': cloud.xyz, **cloud.attributes}
        for name, values in (('semantic', cloud.semantic), ('instance', cloud.instance), ('crs', cloud.crs)):
            if values is not None:
                arrays[name] = np.asarray(values)
        np.savez(self._handle, **arrays)


def _texts(values: NDArray[Any]) -> Iterator[str]:
    """Numbers as text: whole ones as such, others with as many digits as bring them back exactly."""
    if values.dtype.kind == 'f':
        return map(float.__repr__, values.astype(np.float64).tolist())
    return map(str, values.astype(np.int64).tolist())


def _check_same(path: Path, names: tuple[str, ...], expected: tuple[str, ...]) -> None:
    """All chunks have the columns of the first."""
    if names != expected:
        raise PointWriteError(
            f'{path}: this chunk has {list(names)}, but the first one had {list(expected)}. All must have the same.'
        )
