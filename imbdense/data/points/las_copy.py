"""What a copy of a LAS file must keep to the bit: records (VLR, EVLR) and header, read as bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from imbdense.data.points.errors import PointReadError, PointWriteError

VLR_HEADER, EVLR_HEADER = struct.Struct('<H16sHH32s'), struct.Struct('<H16sHQ32s')
EXTRA_BYTES = ('LASF_Spec', 4)
"""The record that describes the extra dimensions."""
OF_THE_FILE = ('laszip encoded', 'copc')
"""Records that describe where the packed points lie in one file: a copy gets its own; an index (COPC) is left out."""
WAVEFORMS_INSIDE = 2
"""Bit of the global encoding: the file also holds waveforms."""


@dataclass(frozen=True)
class RawRecord:
    """A record as it lies in the file."""

    user_id: str
    record_id: int
    description: str
    data: bytes

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
            except struct.error as error:
                raise PointReadError(path, 'truncated', 'ends within its records.', 'Copy it anew.') from error
        if struct.unpack('<H', header[6:8])[0] & WAVEFORMS_INSIDE:
            raise PointWriteError(f'{path} holds waveforms, which cannot be copied. Choose a file without them.')
        return cls(header, records, extended)

    def patch(self, handle: BinaryIO) -> None:
        """Give a finished copy the header fields of the original.

        All but sizes, offsets and the point format: dates, identifiers, scales, bounds and counts, which laspy would
        compute anew and round otherwise.
        """
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
        made.append(laspy.VLR(record.user_id, record.record_id, record.description, record.data))
    return made


def _records(handle: BinaryIO, layout: struct.Struct, count: int) -> tuple[RawRecord, ...]:
    """Read ``count`` records from where the handle stands, less those that describe the file itself."""
    found = []
    for _ in range(count):
        _, user, number, length, about = layout.unpack(handle.read(layout.size))
        user_id, description = (text.split(b'\0')[0].decode('ascii', 'replace') for text in (user, about))
        data = handle.read(length)
        if len(data) < length:
            raise struct.error('the record is cut off')
        if user_id not in OF_THE_FILE:
            found.append(RawRecord(user_id, number, description, data))
    return tuple(found)
