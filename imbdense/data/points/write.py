"""Write a point cloud by the suffix of its file, whole or a chunk at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from imbdense.data.points.cloud import PointCloud
from imbdense.data.points.errors import PointWriteError
from imbdense.data.points.las_write import LasCopySink, LasSink
from imbdense.data.points.plain_write import NpzSink, PlySink, TextSink
from imbdense.utils.files import atomic_open

SUFFIXES = ('.las', '.laz', '.ply', '.txt', '.csv', '.npz')


def write_points(
    path: str | os.PathLike[str], cloud: PointCloud, like: str | os.PathLike[str] | None = None,
    exchange: Collection[str] = (),
) -> None:  # fmt: skip
    """Write a cloud: .las .laz .ply (binary) .txt (blanks) .csv (commas), both with a header row, .npz.

    The file appears whole or not at all. What was read comes back: coordinates exactly in .ply, .txt, .csv and .npz, to
    0.5 mm in a new .las or .laz; colours, codes and attributes exactly (whole numbers of LAS fields).

    Args:
        path: the file; its suffix tells the format.
        cloud: the points; -1 (ignored) cannot be stored as a classification of LAS.
        like: a LAS or LAZ file of the same points in the same order. Everything in it is kept to the bit; see
            :class:`~imbdense.data.points.las_write.LasCopySink` for what is exchanged and added.
        exchange: attributes that are exchanged where ``like`` has an extra dimension of that name.

    Raises:
        PointWriteError: values that the format cannot hold, points that are not those of ``like``, or a dimension of it
            with a name of ``exchange`` and another type.
        PointReadError: laspy or lazrs is not installed, or ``like`` is damaged.
    """
    with PointWriter(path, like, exchange) as writer:
        writer.append(cloud)


def write_text(
    path: str | os.PathLike[str], cloud: PointCloud, *, columns: Sequence[str] | None = None, separator: str = ',',
    header: bool = True,
) -> None:  # fmt: skip
    """Write text with chosen columns, for the layouts of other toolboxes.

    Args:
        columns: names, in order, of 'x', 'y', 'z', 'r', 'g', 'b' (or 'red', ...), attributes, 'semantic', 'instance';
            ``None`` = all. separator: between the columns. header: whether the first row holds the names.

    Raises:
        PointWriteError: the cloud has no such column.
    """
    with atomic_open(path) as handle:
        names = None if columns is None else tuple(columns)
        TextSink(Path(path), handle, cloud, separator=separator, columns=names, header=header).append(cloud)


class PointWriter:
    """Write a cloud chunk by chunk in constant memory; arguments and errors as :func:`write_points`.

    ::

        with PointWriter('predicted.laz', like='tile.laz') as writer:
            for cloud in iter_points('tile.laz'):
                writer.append(cloud.replace(semantic=predict(cloud)))

    All chunks have the fields of the first. The file appears when the block ends without an error. .npz is the
    exception to constant memory: its chunks are gathered and written at the end.
    """

    def __init__(
        self, path: str | os.PathLike[str], like: str | os.PathLike[str] | None = None, exchange: Collection[str] = ()
    ) -> None:
        self.path, self.like, self.exchange = Path(path), None if like is None else Path(like), exchange
        suffix = self.path.suffix.lower()
        if suffix not in SUFFIXES:
            raise PointWriteError(f'{path}: {suffix or "no suffix"} cannot be written; use one of {SUFFIXES}.')
        if like is not None and suffix not in ('.las', '.laz'):
            raise PointWriteError(f'{path}: like= keeps the fields of a LAS file; write .las or .laz.')
        self._sink: Any = None
        self._handle: BinaryIO | None = None
        self._file = self._opened()

    def __enter__(self) -> PointWriter:
        self._file.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.__exit__(kind, error, trace)

    def append(self, cloud: PointCloud) -> None:
        """Write the points of one chunk."""
        if self._handle is None:
            raise RuntimeError('PointWriter is used as a context manager: with PointWriter(...) as writer: ...')
        if self._sink is None:
            self._sink = self._sink_for(cloud, self._handle)
        self._sink.append(cloud)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[None]:
        with atomic_open(self.path) as self._handle:
            yield
            if self._sink is None:
                raise PointWriteError(f'{self.path}: no points were appended, so nothing is written.')
            self._sink.finish()

    def _sink_for(self, first: PointCloud, handle: BinaryIO) -> Any:
        """The writer of this format; the first chunk says which fields there are."""
        suffix = self.path.suffix.lower()
        if suffix in ('.las', '.laz'):
            if self.like is not None:
                return LasCopySink(self.path, handle, first, self.like, self.exchange)
            return LasSink(self.path, handle, first)
        if suffix == '.ply':
            return PlySink(self.path, handle, first)
        if suffix == '.npz':
            return NpzSink(self.path, handle, first)
        return TextSink(self.path, handle, first, separator=',' if suffix == '.csv' else ' ')
