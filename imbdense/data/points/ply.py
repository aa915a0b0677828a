"""PLY as named columns: ascii, little- and big-endian, whatever the element is called ('vertex', 'params', ...)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from imbdense.data.points.errors import PointReadError
from imbdense.data.points.fields import Fields

TYPES = {
    'char': 'i1', 'int8': 'i1', 'uchar': 'u1', 'uint8': 'u1', 'short': 'i2', 'int16': 'i2', 'ushort': 'u2',
    'uint16': 'u2', 'int': 'i4', 'int32': 'i4', 'uint': 'u4', 'uint32': 'u4', 'float': 'f4', 'float32': 'f4',
    'double': 'f8', 'float64': 'f8',
}
ORDERS = {'ascii': '', 'binary_little_endian': '<', 'binary_big_endian': '>'}
LONGEST_HEADER = 1 << 20


@dataclass
class Element:
    """One ``element`` of the header: name, number of rows, scalar columns (name, numpy type), and its list columns."""

    name: str
    count: int
    columns: list[tuple[str, str]] = field(default_factory=list)
    lists: list[tuple[str, str, str]] = field(default_factory=list)

    def dtype(self, order: str) -> np.dtype[Any]:
        """One row of a binary file."""
        return np.dtype([(name, (order or '<') + kind) for name, kind in self.columns])


class PlySource:
    """Columns of the one element that has x, y and z; see :class:`~imbdense.data.points.fields.FieldSource`.

    Args:
        path: the file. element: its name, needed only where several elements have coordinates.

    Raises:
        PointReadError: no PLY file, a damaged header, no element with coordinates, or one that has lists.
    """

    def __init__(self, path: Path, element: str | None = None) -> None:
        self.path = path
        self.crs: str | None = None
        with open(path, 'rb') as handle:
            self.order, self.elements = read_header(path, handle)
            self.start = handle.tell()
        self.element = self._choose(element)
        self.count = self.element.count
        self.names = tuple(name for name, _ in self.element.columns)
        self.usual = self.names

    def chunks(self, names: Sequence[str], size: int | None) -> Iterator[Fields]:
        """Yield the named columns, ``size`` points at a time."""
        size = size or max(self.count, 1)
        with open(self.path, 'rb') as handle:
            handle.seek(self.start)
            self._skip_elements_before(handle)
            read = self._ascii_rows if self.order == '' else self._binary_rows
            for first in range(0, self.count, size):
                rows = read(handle, min(size, self.count - first), first)
                yield {name: rows[name].astype(rows[name].dtype.newbyteorder('=')) for name in names}

    def _choose(self, wanted: str | None) -> Element:
        known = ', '.join(element.name for element in self.elements) or 'none'
        if wanted is not None:
            found = [element for element in self.elements if element.name == wanted]
        else:
            found = [item for item in self.elements if {'x', 'y', 'z'} <= {n.lower() for n, _ in item.columns}]
        if len(found) != 1:
            what = f'no element {wanted!r}' if wanted else f'{len(found) or "no"} elements with x, y and z'
            raise PointReadError(self.path, 'fields', f'has {what}.', f'Its elements are {known}; name one (element=).')
        if found[0].lists:
            raise PointReadError(
                self.path, 'fields', f'has lists ({found[0].lists[0][0]}) in element {found[0].name}.',
                'Save the points without them.',
            )
        return found[0]

    def _binary_rows(self, handle: BinaryIO, count: int, first: int) -> NDArray[Any]:
        dtype = self.element.dtype(self.order)
        data = handle.read(count * dtype.itemsize)
        if len(data) < count * dtype.itemsize:
            raise self._truncated(first + len(data) // dtype.itemsize)
        return np.frombuffer(data, dtype)

    def _ascii_rows(self, handle: BinaryIO, count: int, first: int) -> NDArray[Any]:
        width, rows = len(self.names), []
        for number in range(count):
            line = handle.readline()
            if not line.strip():
                raise self._truncated(first + number)
            parts = line.split()
            if len(parts) != width:
                raise PointReadError(
                    self.path, 'columns', f'point {first + number} has {len(parts)} numbers, expected {width}: '
                    f'{line[:80].decode("ascii", "replace").strip()!r}.', 'Mend or remove this line.',
                )
            rows.append(tuple(parts))
        try:
            table = np.array(rows, dtype='S32').astype(np.float64)
        except ValueError as error:
            raise PointReadError(
                self.path, 'columns', f'holds text that is no number among the points from {first} on ({error}).',
                'Mend these lines.',
            ) from error
        result = np.empty(count, self.element.dtype(''))
        for column, name in enumerate(self.names):
            result[name] = table[:, column]
        return result

    def _truncated(self, found: int) -> PointReadError:
        return PointReadError(self.path, 'truncated', f'ends after {found} of {self.count} points.', 'Copy it anew.')

    def _skip_elements_before(self, handle: BinaryIO) -> None:
        """Move to the first point past elements that come earlier in the file."""
        for element in self.elements[: self.elements.index(self.element)]:
            if self.order == '':
                for _ in range(element.count):
                    handle.readline()
            elif not element.lists:
                handle.seek(element.count * element.dtype(self.order).itemsize, 1)
            else:
                raise PointReadError(
                    self.path, 'fields', f'has element {element.name} with lists before the points.',
                    'Save it with the points first, as usual.',
                )


def read_header(path: Path, handle: BinaryIO) -> tuple[str, list[Element]]:
    """Read to the end of the header; return the byte order ('' = ascii) and the elements."""
    if handle.readline().strip() != b'ply':
        raise PointReadError(path, 'unreadable', 'is no PLY file (it does not begin with "ply").', 'Check the file.')
    order: str | None = None
    elements: list[Element] = []
    while handle.tell() < LONGEST_HEADER:
        line = handle.readline()
        words = line.decode('ascii', 'replace').split()
        if not line:
            break
        try:
            if words[:1] == ['end_header'] and order is not None:
                return order, elements
            if words[:1] == ['format']:
                order = ORDERS[words[1]]
            elif words[:1] == ['element']:
                elements.append(Element(words[1], int(words[2])))
            elif words[:2] == ['property', 'list']:
                elements[-1].lists.append((words[4], TYPES[words[2]], TYPES[words[3]]))
            elif words[:1] == ['property']:
                elements[-1].columns.append((words[2], TYPES[words[1]]))
        except (KeyError, IndexError, ValueError) as error:
            raise PointReadError(
                path, 'unreadable', f'has the damaged header line {" ".join(words)!r}.', 'Save it anew.'
            ) from error
    raise PointReadError(path, 'truncated', 'has a header without format or end.', 'Copy it anew.')
