"""LAS and LAZ as named columns, read with laspy (and lazrs for LAZ), a chunk at a time."""

from __future__ import annotations

import contextlib
import logging
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imbdense.data.points.errors import PointReadError
from imbdense.data.points.fields import Fields

USUAL = ('intensity', 'return_number', 'number_of_returns', 'red', 'green', 'blue', 'nir')
SCAN_ANGLE_UNIT = 0.006
"""Degrees per unit of ``scan_angle`` in point formats 6 to 10; the rank of older formats is in degrees."""
INSTALL_LASPY = 'Install it: pip install "laspy[lazrs]".'


def import_laspy(path: Path) -> Any:
    """Return the module, or raise :class:`PointReadError` that says how to install it."""
    try:
        import laspy
    except ImportError as error:
        problem = f'needs laspy, which does not import ({error}).'
        raise PointReadError(path, 'backend', problem, INSTALL_LASPY) from error
    return laspy


def laz_backends(laspy: Any) -> tuple[Any, ...]:
    """What unpacks LAZ, in order of preference, single-threaded ones alone.

    The threads of the parallel one do not survive a fork: a data loader's worker that is forked after the first file
    was read would wait for them for ever.
    """
    parallel = laspy.LazBackend.LazrsParallel
    return tuple(backend for backend in laspy.LazBackend if backend is not parallel and backend.is_available())


def check_laz_backend(path: Path, laspy: Any) -> None:
    """Raise :class:`PointReadError` if nothing that packs and unpacks LAZ is installed."""
    if not laz_backends(laspy):
        raise PointReadError(
            path, 'backend', 'is compressed (LAZ), and lazrs, which unpacks it, is not installed.',
            'Install it: pip install lazrs.',
        )


@contextlib.contextmanager
def naming_faults(path: Path) -> Iterator[Any]:
    """Yield laspy; what it, lazrs or a header complain about inside the block becomes an error that names the file.

    Raises:
        PointReadError: a missing package, no LAS file, a file that is cut off.
    """
    laspy = import_laspy(path)
    log = logging.getLogger('laspy')
    before = log.level
    log.setLevel(logging.CRITICAL)  # laspy logs what it raises as well
    try:
        yield laspy
    except PointReadError:
        raise
    except _faults(laspy) as error:
        raise PointReadError(
            path, 'truncated', f'cannot be read as LAS or LAZ ({error or type(error).__name__}).',
            'It may be cut off or no LAS file; copy it anew.',
        ) from error
    finally:
        log.setLevel(before)


@contextlib.contextmanager
def open_las(path: Path) -> Iterator[Any]:
    """Yield a ``laspy.LasReader`` of a file; errors as :func:`naming_faults`."""
    with open(path, 'rb') as handle:
        with naming_faults(path) as laspy:
            reader = laspy.open(handle, closefd=False, laz_backend=laz_backends(laspy) or None)
            if reader.header.are_points_compressed:
                check_laz_backend(path, laspy)
        yield reader


def read_records(path: Path, reader: Any, size: int) -> Iterator[Any]:
    """Yield point records of ``size`` points; a file that ends early is an error, not a shorter cloud."""
    total, done = int(reader.header.point_count), 0
    while done < total:
        with naming_faults(path):
            record = reader.read_points(size)
        expected = min(size, total - done)
        if len(record) != expected:
            raise PointReadError(
                path, 'truncated', f'ends after {done + len(record)} of {total} points.', 'Copy it anew.'
            )
        done += expected
        yield record


class LasSource:
    """Columns of a LAS or LAZ file; see :class:`~imbdense.data.points.fields.FieldSource`.

    x, y, z are metres (scale and offset of the header applied), ``scan_angle`` is in degrees in every point format,
    extra dimensions have their names and their scale applied; everything else is the stored number.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with open_las(path) as reader:
            header = reader.header
            stored = [name for name in header.point_format.dimension_names if name not in 'XYZ']
            extra = tuple(header.point_format.extra_dimension_names)
            self._legacy_angle = 'scan_angle_rank' in stored
            self.names = ('x', 'y', 'z', *('scan_angle' if n == 'scan_angle_rank' else n for n in stored))
            self.usual = tuple(name for name in self.names if name in USUAL or name in extra)
            self.crs = crs_text(header)
            self.count = int(header.point_count)

    def chunks(self, names: Sequence[str], size: int | None) -> Iterator[Fields]:
        """Yield the named columns, ``size`` points at a time; memory follows ``size``, not the file."""
        with open_las(self.path) as reader:
            for record in read_records(self.path, reader, size or max(self.count, 1)):
                yield {name: self._column(record, name) for name in names}

    def _column(self, record: Any, name: str) -> Any:
        if name in ('x', 'y', 'z'):
            axis = 'xyz'.index(name)
            return np.asarray(record[name.upper()]) * record.scales[axis] + record.offsets[axis]
        if name == 'scan_angle':
            if self._legacy_angle:
                return np.asarray(record['scan_angle_rank'], np.float32)
            return (np.asarray(record[name], np.float64) * SCAN_ANGLE_UNIT).astype(np.float32)
        return np.array(record[name])


def crs_text(header: Any) -> str | None:
    """The coordinate system of a LAS header: its WKT text, or ``EPSG:code`` of GeoTIFF keys, or ``None``."""
    for record in (*header.vlrs, *(header.evlrs or ())):
        text = getattr(record, 'string', None)
        if type(record).__name__ == 'WktCoordinateSystemVlr' and text:
            return str(text).rstrip('\0') or None
    for record in header.vlrs:
        if type(record).__name__ == 'GeoKeyDirectoryVlr':
            keys = {key.id: key.value_offset for key in record.geo_keys if key.tiff_tag_location == 0}
            code = keys.get(3072) or keys.get(2048)  # projected, else geographic; 32767 = user-defined
            return f'EPSG:{code}' if code and code != 32767 else None
    return None


def _faults(laspy: Any) -> tuple[type[BaseException], ...]:
    """What laspy and its backends raise for damaged files."""
    faults: list[type[BaseException]] = [
        laspy.errors.LaspyException, OSError, ValueError, EOFError, struct.error, OverflowError, MemoryError,
    ]
    with contextlib.suppress(ImportError):
        import lazrs

        faults.append(lazrs.LazrsError)
    return tuple(faults)


def is_laz(path: str | os.PathLike[str]) -> bool:
    """Whether the suffix asks for compressed points."""
    return Path(path).suffix.lower() == '.laz'
