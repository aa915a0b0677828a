"""What a copy of a LAS file must keep to the bit: records (VLR, EVLR) and header, read as bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from imbdense.data.points.errors import PointReadError, PointWriteError

VLR_HEADER, EVLR_HEADER = struct.Struct('<H16sHH32s'), struct.Struct('<H16sHQ32s')
LENGTH, DESCRIPTION = 20, 32
"""Where the length of a record stands in its header, and the bytes of the text that ends it."""
EXTRA_BYTES = ('LASF_Spec', 4)
"""The record that describes the extra dimensions."""
OF_THE_FILE = ('laszip encoded', 'copc')
"""Records that describe where the packed points lie in one file: a copy gets its own; an index (COPC) is left out."""
WAVEFORMS_INSIDE = 2
"""Bit of the global encoding: the file also holds waveforms."""


@dataclass(frozen=True)
class RawRecord:
    """A record as it lies in the file.

    Attributes:
        head: its header, whose texts may be in any encoding. data: what follows. place: where the record begins.
    """

    head: bytes
    data: bytes
    place: int = field(compare=False)

    @property
    def user_id(self) -> str:
        """Whose record it is; what is not ASCII is left out."""
        return self.head[2:18].split(b'\0')[0].decode('ascii', 'ignore')

    @property
    def record_id(self) -> int:
        """Number of the record."""
        return int.from_bytes(self.head[18:20], 'little')

    @property
    def describes_dimensions(self) -> bool:
        """Whether this is the record of the extra dimensions."""
        return (self.user_id, self.record_id) == EXTRA_BYTES


@dataclass(frozen=True)
class RawLas:
    """Header and records of a LAS or LAZ file.

    Attributes:
        header: its bytes. records, extended: those before and after the points that a copy takes over.
    """

    header: bytes
    records: tuple[RawRecord, ...]
    extended: tuple[RawRecord, ...]

    @classmethod
    def of(cls, path: Path) -> RawLas:
        """Read them.

        Raises:
            PointWriteError: a file with waveforms, which a copy of the points would lose.
            PointReadError: a file that is cut off.
        """
        with open(path, 'rb') as handle:
            try:
                found = cls._read(handle)
            except struct.error as error:
                raise PointReadError(path, 'truncated', 'ends within its records.', 'Copy it anew.') from error
        if struct.unpack('<H', found.header[6:8])[0] & WAVEFORMS_INSIDE:
            raise PointWriteError(f'{path} holds waveforms, which cannot be copied. Choose a file without them.')
        return found

    @classmethod
    def _read(cls, handle: BinaryIO) -> RawLas:
        """Header and records of an open file."""
        handle.seek(0)
        start = handle.read(104)
        header_size, count = struct.unpack('<H', start[94:96])[0], struct.unpack('<I', start[100:104])[0]
        handle.seek(0)
        header = handle.read(header_size)
        records = _records(handle, VLR_HEADER, count)
        extended: tuple[RawRecord, ...] = ()
        if header[25] >= 4:
            first, count = struct.unpack('<QI', header[235:247])
            handle.seek(first)
            extended = _records(handle, EVLR_HEADER, count)
        return cls(header, records, extended)

    def patch(self, handle: BinaryIO) -> None:
        """Give a finished copy the headers of the original, of the file and of its records.

        All but sizes, offsets and the point format: dates, identifiers, scales, bounds and counts, which laspy would
        compute anew and round otherwise; texts of records, which it would cut off and refuse if they are not ASCII.
        """
        copy = self._read(handle)
        for own, made in (*zip(self.records, copy.records), *zip(self.extended, copy.extended)):
            for begin, end in ((0, LENGTH), (len(own.head) - DESCRIPTION, len(own.head))):
                handle.seek(made.place + begin)
                handle.write(own.head[begin:end])
        spans = [(4, 94), (107, min(227, len(self.header)))]
        if self.header[25] >= 3:
            spans.append((227, 235))
        if self.header[25] >= 4:
            spans.append((247, len(self.header)))
        for begin, end in spans:
            handle.seek(begin)
            handle.write(self.header[begin:end])
        handle.seek(0, 2)


def laspy_records(laspy: Any, records: tuple[RawRecord, ...]) -> Any:
    """The records for laspy, which writes those that it does not interpret byte by byte."""
    made = laspy.vlrs.vlrlist.VLRList()
    for record in records:
        made.append(laspy.VLR(record.user_id, record.record_id, '', record.data))
    return made


def _records(handle: BinaryIO, layout: struct.Struct, count: int) -> tuple[RawRecord, ...]:
    """Read ``count`` records from where the handle stands, less those that describe the file itself."""
    found = []
    for _ in range(count):
        place, head = handle.tell(), handle.read(layout.size)
        length = layout.unpack(head)[3]
        record = RawRecord(head, handle.read(length), place)
        if len(record.data) < length:
            raise struct.error('the record is cut off')
        if record.user_id not in OF_THE_FILE:
            found.append(record)
    return tuple(found)
