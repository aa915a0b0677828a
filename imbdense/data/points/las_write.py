"""Write LAS and LAZ: new files of a cloud, and copies of a file to which labels or dimensions are added."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from imbdense.data.points.cloud import PointCloud
from imbdense.data.points.errors import PointReadError, PointWriteError
from imbdense.data.points.las import (
    SCAN_ANGLE_UNIT,
    check_laz_backend,
    import_laspy,
    is_laz,
    laz_backends,
    open_las,
    read_records,
)
from imbdense.data.points.las_copy import RawLas, laspy_records
from imbdense.data.points.las_dimensions import (
    add_dimensions,
    check_labels,
    extra_columns,
    set_dimensions,
    set_labels,
)

SCALE = 0.001
"""Resolution of new files, metres."""


class LasSink:
    """Points appended to one LAS or LAZ file (the suffix decides); see :class:`imbdense.data.points.write.PointWriter`.

    Version 1.4, point format 6, 7 (colours) or 8 (near infrared), millimetres. ``semantic`` becomes ``classification``;
    ``instance`` an extra dimension; attributes that the format knows become its fields, others extra dimensions of
    their dtype; what is not given is 0, return numbers 1. The first chunk decides which there are.
    """

    def __init__(self, path: Path, handle: BinaryIO, first: PointCloud) -> None:
        self.path, self._laspy = path, import_laspy(path)
        self._known = set(self._laspy.PointFormat(6).dimension_names)
        header = self._new_header(first)
        self._extra = add_dimensions(self._laspy, path, header, extra_columns(first, self._known))
        self._header = header
        self._writer = open_writer(path, handle, self._laspy, header)

    def append(self, cloud: PointCloud) -> None:
        """Write the points of one chunk."""
        record = self._laspy.ScaleAwarePointRecord.zeros(len(cloud), header=self._header)
        for name in ('return_number', 'number_of_returns'):
            record[name] = np.ones(len(cloud), np.uint8)  # 0 is not allowed; attributes overwrite it
        for axis, name in enumerate('XYZ'):
            whole = np.rint((cloud.xyz[:, axis] - self._header.offsets[axis]) / SCALE)
            if np.abs(whole).max(initial=0) > np.iinfo(np.int32).max:
                raise PointWriteError(f'{self.path}: {name} spans more than 4,000 km, which LAS cannot store in mm.')
            record[name] = whole.astype(np.int32)
        for name, values in cloud.attributes.items():
            if name == 'rgb':
                for column, colour in enumerate(('red', 'green', 'blue')):
                    record[colour] = values[:, column].astype(np.uint16) * 257
            elif name == 'nir':
                record['nir'] = values.astype(np.uint16) * 257
            elif name in self._known:
                record[name] = _standard(self.path, name, values, record[name])
        set_labels(self.path, record, cloud)
        set_dimensions(self.path, record, extra_columns(cloud, self._known), self._extra)
        self._writer.write_points(record)

    def finish(self) -> None:
        """Write what comes after the points."""
        self._writer.close()

    def _new_header(self, first: PointCloud) -> Any:
        point_format = 8 if 'nir' in first.attributes else 7 if 'rgb' in first.attributes else 6
        header = self._laspy.LasHeader(version='1.4', point_format=point_format)
        header.scales, header.offsets = np.full(3, SCALE), first.origin
        if first.crs:
            header.vlrs.append(self._laspy.vlrs.known.WktCoordinateSystemVlr(_as_wkt(self.path, first.crs)))
            header.global_encoding.wkt = True
        return header


class LasCopySink:
    """A copy of a LAS or LAZ file, chunk by chunk, with labels and dimensions added.

    Points (every field, also of extra dimensions, and their order), records, scales, offsets, bounds and identifiers
    are those of ``like``, to the bit. Exchanged or added are only: ``classification``, where the clouds have
    ``semantic``; ``instance``, where they have it; and one extra dimension for each attribute that ``like`` does not
    have. Attributes that it has are its own, but those named in ``exchange`` are the cloud's (of a file that was
    labelled before, the labels of now). An index for streaming (COPC) is not taken over: it would point to
    places of the original; the copy is a plain file that every reader opens.
    """

    def __init__(
        self, path: Path, handle: BinaryIO, first: PointCloud, like: Path, exchange: Collection[str] = ()
    ) -> None:
        self.path, self.like, self._laspy = path, like, import_laspy(path)
        with open_las(like) as reader:
            header, self._total = reader.header.copy(), int(reader.header.point_count)
        header.system_identifier = header.generating_software = ''  # laspy refuses what is not ASCII; patched later
        self._raw, self._handle = RawLas.of(like), handle
        self._fields = kept_fields(header, exchange)
        before = len(list(header.point_format.extra_dimensions))
        self._extra = add_dimensions(self._laspy, path, header, extra_columns(first, self._fields))
        self._set_records(header, before)
        self._header, self._done = header, 0
        self._records = self._read()
        self._left: Any = None
        self._writer = open_writer(path, handle, self._laspy, header)

    def append(self, cloud: PointCloud) -> None:
        """Write the next ``len(cloud)`` points of ``like`` with the labels of ``cloud``.

        Raises:
            PointWriteError: more points than ``like`` has, or others than the next ones (coordinates differ).
        """
        if self._done + len(cloud) > self._total:
            raise PointWriteError(
                f'{self.path}: {self._done + len(cloud)} points were given, but {self.like} has {self._total}.'
            )
        for begin, record in self._next(len(cloud)):
            part = cloud.take(slice(begin, begin + len(record)))
            self._check_same(part, record)
            points = self._widen(record)
            set_labels(self.path, points, part)
            set_dimensions(self.path, points, extra_columns(part, self._fields), self._extra)
            self._writer.write_points(points)
        self._done += len(cloud)

    def finish(self) -> None:
        """Write records that follow the points and the header.

        Raises:
            PointWriteError: fewer points than ``like`` has.
        """
        if self._done != self._total:
            raise PointWriteError(f'{self.path}: {self._done} points were given, but {self.like} has {self._total}.')
        if self._raw.extended:
            self._writer.write_evlrs(laspy_records(self._laspy, self._raw.extended))
        self._writer.close()
        self._raw.patch(self._handle)

    def _set_records(self, header: Any, before: int) -> None:
        """The records of the original as bytes, in order; that of the dimensions with the new ones at its end."""
        made = list(header.vlrs.get('ExtraBytesVlr'))
        described = any(record.describes_dimensions for record in self._raw.records)
        new = b''.join(bytes(item) for vlr in made for item in vlr.extra_bytes_structs[before:])
        records = [replace(record, data=record.data + new) if record.describes_dimensions else record
                   for record in self._raw.records]
        header._vlrs = laspy_records(self._laspy, tuple(records))
        if made and not described:
            header._vlrs.append(made[0])
        header.evlrs = None

    def _read(self) -> Iterator[Any]:
        with open_las(self.like) as reader:
            yield from read_records(self.like, reader, 1_000_000)

    def _next(self, count: int) -> Iterator[tuple[int, Any]]:
        """Yield (position in the chunk, records) until ``count`` records are out."""
        begin = 0
        while begin < count:
            if self._left is None or len(self._left) == 0:
                self._left = next(self._records)
            taken, self._left = self._left[: count - begin], self._left[count - begin :]
            yield begin, taken
            begin += len(taken)

    def _check_same(self, part: PointCloud, record: Any) -> None:
        for axis, name in enumerate('XYZ'):
            own = np.asarray(record[name]) * self._header.scales[axis] + self._header.offsets[axis]
            if np.abs(own - part.xyz[:, axis]).max(initial=0) > self._header.scales[axis]:
                raise PointWriteError(
                    f'{self.path}: the points given are not the next ones of {self.like} ({name} differs). Append them '
                    f'in the order of that file, none left out.'
                )

    def _widen(self, record: Any) -> Any:
        """The points with room for the new dimensions; every old field is copied as it is stored."""
        array = np.zeros(len(record), self._header.point_format.dtype())
        for name in record.array.dtype.names:
            array[name] = record.array[name]
        return self._laspy.ScaleAwarePointRecord(
            array, self._header.point_format, self._header.scales, self._header.offsets
        )


def kept_fields(header: Any, exchange: Collection[str]) -> set[str]:
    """Names of what a copy takes over as it is: all fields but those extra dimensions that are exchanged."""
    exchanged = set(exchange) & set(header.point_format.extra_dimension_names)
    return (set(header.point_format.dimension_names) | {'rgb', 'scan_angle', 'nir'}) - exchanged


def check_copy(path: Path, first: PointCloud, like: Path, exchange: Collection[str] = ()) -> None:
    """Raise what :class:`LasCopySink` would raise about codes and dimensions of ``first``, before anything is written.

    For those who compute for hours what they then write; coordinates and numbers of points are not compared.
    """
    with open_las(like) as reader:
        header = reader.header.copy()
    add_dimensions(import_laspy(path), path, header, extra_columns(first, kept_fields(header, exchange)))
    if first.semantic is not None:
        check_labels(path, header.point_format.id, first.semantic)


def open_writer(path: Path, handle: BinaryIO, laspy: Any, header: Any) -> Any:
    """A laspy writer onto an open handle, packed if the suffix says so."""
    if is_laz(path):
        check_laz_backend(path, laspy)
    return laspy.LasWriter(
        handle, header, do_compress=is_laz(path), laz_backend=laz_backends(laspy) or None, closefd=False)


def _standard(path: Path, name: str, values: NDArray[Any], field: Any) -> NDArray[Any]:
    """Values as the field of the format stores them; an error where they do not fit."""
    if name == 'scan_angle':
        values = np.rint(values / SCAN_ANGLE_UNIT)
    kind = np.asarray(field).dtype
    if kind.kind == 'f':
        return values.astype(kind)
    info = np.iinfo(kind)
    if values.size and (values.min() < info.min or values.max() > info.max or (values != np.floor(values)).any()):
        raise PointWriteError(
            f'{path}: LAS stores {name} as whole numbers {info.min} to {info.max}, but it reaches from {values.min()} '
            f'to {values.max()}. Scale it, give the attribute another name, or write .ply or .npz.'
        )
    return values.astype(kind)


def _as_wkt(path: Path, crs: str) -> str:
    """WKT as it is; ``EPSG:...`` through rasterio."""
    if '[' in crs:
        return crs
    try:
        from rasterio.crs import CRS
    except ImportError as error:
        raise PointReadError(
            path, 'backend', f'needs rasterio to write the coordinate system {crs}.', 'pip install rasterio.'
        ) from error
    return str(CRS.from_user_input(crs).to_wkt())
