"""Read a point cloud by the suffix of its file, whole or a chunk at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from imbdense.data.points.binary import NpzSource, TableSource
from imbdense.data.points.cloud import PointCloud
from imbdense.data.points.errors import PointReadError
from imbdense.data.points.fields import Choice, FieldSource, assemble, colour_shift, make_plan
from imbdense.data.points.las import LasSource
from imbdense.data.points.ply import PlySource
from imbdense.data.points.text import TextSource

SUFFIXES = ('.las', '.laz', '.ply', '.txt', '.csv', '.xyz', '.npz', '.npy', '.bin')


def read_points(
    path: str | os.PathLike[str],
    *,
    attributes: Sequence[str] | None = None,
    semantic: str | None = None,
    instance: str | None = None,
    columns: Sequence[str] | None = None,
    element: str | None = None,
) -> PointCloud:
    """Read a whole file: .las .laz .ply .txt .csv .xyz .npz .npy .bin.

    Args:
        path: the file; its suffix tells the format.
        attributes: which attributes to take; ``None`` = of LAS intensity, return numbers, colours and the extra
            dimensions, of other formats every column. ``()`` = none. Other dimensions of LAS have laspy's names
            (``'gps_time'``, ``'point_source_id'``, ...); ``'scan_angle'`` is in degrees in every version.
        semantic, instance: name of the column with the labels; ``None`` = the one with a usual name
            (``classification``, ``class``, ``label``, ``sem_class``, ``scalar_Label``, ...), or no labels where there
            is none. Codes are kept as they are; NaN and negative numbers become -1.
        columns: meaning of the columns of .txt, .csv, .xyz, .npy and .bin, where the file does not tell.
        element: of PLY, where more than one element has coordinates.

    Returns:
        The cloud, points in the order of the file. Colours are always 8 bit; how 16 bit is told from 8 bit:
        :func:`imbdense.data.points.fields.colour_shift`.

    Raises:
        FileNotFoundError: no such file.
        PointReadError: a suffix that is not known, a missing package, a file that is cut off or has no points,
            coordinates that are not finite, a line with another number of columns, ...; the message names the file.
    """
    choice = Choice(attributes, semantic, instance)
    return next(_clouds(open_source(path, columns=columns, element=element), choice, None))


def iter_points(
    path: str | os.PathLike[str],
    chunk: int = 1_000_000,
    *,
    attributes: Sequence[str] | None = None,
    semantic: str | None = None,
    instance: str | None = None,
    columns: Sequence[str] | None = None,
    element: str | None = None,
) -> Iterator[PointCloud]:
    """Yield the clouds of ``chunk`` points one after the other; arguments and errors as :func:`read_points`.

    Memory follows ``chunk``, not the file (only .npz is read whole). Colours are scaled alike in all chunks: their
    depth is found in a first pass, which stops at the first value above 255.
    """
    if chunk < 1:
        raise ValueError(f'iter_points: chunk must be at least 1 point, but is {chunk}.')
    choice = Choice(attributes, semantic, instance)
    yield from _clouds(open_source(path, columns=columns, element=element), choice, chunk)


def open_source(
    path: str | os.PathLike[str], *, columns: Sequence[str] | None = None, element: str | None = None
) -> FieldSource:
    """Open a file as named columns, without reading points; the names are in ``.names``."""
    place = Path(path)
    suffix = place.suffix.lower()
    if suffix not in SUFFIXES:
        raise PointReadError(
            place, 'suffix', f'has the suffix {suffix or "(none)"}, which is no format of points.',
            f'Expected one of {", ".join(SUFFIXES)}.',
        )
    if not place.is_file():
        raise FileNotFoundError(f'{place} does not exist (a file of points was expected).')
    if suffix in ('.las', '.laz'):
        return LasSource(place)
    if suffix == '.ply':
        return PlySource(place, element)
    if suffix == '.npz':
        return NpzSource(place)
    return TableSource(place, columns) if suffix in ('.npy', '.bin') else TextSource(place, columns)


def _clouds(source: FieldSource, choice: Choice, size: int | None) -> Iterator[PointCloud]:
    """One cloud per chunk; a file without points is an error."""
    plan = make_plan(source, choice)
    shift = 0
    if size is not None and plan.colours:
        shift = colour_shift(source.path, source.chunks(plan.colours, size))
    first = 0
    for fields in source.chunks(plan.columns, size):
        if size is None and plan.colours:
            shift = colour_shift(source.path, [{name: fields[name] for name in plan.colours}])
        cloud = assemble(plan, fields, source.crs, shift, first)
        first += len(cloud)
        if len(cloud):
            yield cloud
    if first == 0:
        raise PointReadError(source.path, 'empty', 'holds no points.', 'Leave it out, or check how it was made.')
