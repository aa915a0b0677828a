"""The points of one or many files, sorted by cell in one file on disk: any block is read without the rest."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.points.cloud import PointCloud
from imbdense.data.points.crs import crs_name, same_crs
from imbdense.data.points.errors import PointReadError
from imbdense.data.points.read import iter_points
from imbdense.data.points.tiles.lattice import BlockLattice, Cell
from imbdense.utils.files import atomic_write_bytes

Attributes = dict[str, NDArray[np.float32]]
Reader = Callable[[PointCloud, Path], Attributes]
POINTS, INDEX = 'points.bin', 'points.npz'
CHUNK = 1_000_000


@dataclass(frozen=True, eq=False)
class PointBuckets:
    """N points on disk, cell after cell; within a cell in the order of the files.

    Attributes:
        file: the records. cells: (M, 2) occupied cells in lexicographic order. starts: (M + 1,) first record of each.
        columns: attribute -> width. files: points of each input file. low, high: (3,) bounds of all points.
    """

    file: Path
    cells: NDArray[np.int64]
    starts: NDArray[np.int64]
    columns: dict[str, int]
    files: tuple[int, ...]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """A record: place in the files (one after the other), coordinates as in the file, attributes."""
        return np.dtype([('index', '<i8'), ('xyz', '<f8', 3), *((n, '<f4', (w,)) for n, w in self.columns.items())])

    def spans(self, cells: Sequence[Cell]) -> list[tuple[int, int]]:
        """(first, end) records of the occupied ones among ``cells``, ascending."""
        rank = {tuple(cell): number for number, cell in enumerate(self.cells.tolist())}
        found = sorted(rank[cell] for cell in cells if cell in rank)
        return [(int(self.starts[number]), int(self.starts[number + 1])) for number in found]

    def read(self, spans: Sequence[tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """(place of each record in the file of records, records) of some spans, one after the other."""
        places = [np.arange(first, end) for first, end in spans]
        size = self.dtype.itemsize
        parts = [
            np.fromfile(self.file, self.dtype, count=end - first, offset=first * size) for first, end in spans
        ]
        if not parts:
            return np.zeros(0, np.int64), np.zeros(0, self.dtype)
        return np.concatenate(places), np.concatenate(parts)


def make_buckets(
    folder: Path,
    paths: Sequence[Path],
    lattice: BlockLattice,
    convert: Reader,
    wanted: Callable[[Path], Sequence[str] | None],
    progress: Callable[[int, int], None] | None = None,
    chunk: int = CHUNK,
) -> PointBuckets:
    """Sort the points of ``paths`` into ``folder``, or open what an earlier call finished there.

    Two passes over the files: cells are counted, then every point is written to its place. Memory follows ``chunk``.

    Args:
        convert: attributes (N, k) float32 of a chunk. wanted: attributes to read of a file, as ``read_points``.
        progress: called with (done, all) points of the second pass.

    Raises:
        PointReadError: a file that cannot be read, has no points, another coordinate system than the first, other
            attributes, or attributes that are not finite.
    """
    if (folder / INDEX).is_file():
        return _opened(folder)
    folder.mkdir(parents=True, exist_ok=True)
    cells, counts, files, low, high = _counted(paths, lattice, chunk)
    starts = np.append(0, np.cumsum(counts))
    filled = starts[:-1].copy()
    columns: dict[str, int] | None = None
    done = 0
    handle = os.open(folder / POINTS, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        for path in paths:
            for cloud in iter_points(path, chunk, attributes=wanted(path)):
                attributes = _checked(convert(cloud, path), path, columns)
                columns = {name: values.shape[1] for name, values in attributes.items()}
                buckets = PointBuckets(folder / POINTS, cells, starts, columns, files, low, high)
                _write(handle, buckets, lattice, filled, cloud, attributes, done)
                done += len(cloud)
                if progress is not None:
                    progress(done, sum(files))
        os.fsync(handle)
    finally:
        os.close(handle)
    facts = {'cells': cells, 'starts': starts, 'files': np.array(files), 'low': low, 'high': high,
             'names': np.array(list(columns or {}), dtype=str), 'widths': np.array(list((columns or {}).values()))}
    atomic_write_bytes(folder / INDEX, _packed(facts))
    return _opened(folder)


def _counted(
    paths: Sequence[Path], lattice: BlockLattice, chunk: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[int, ...], NDArray[np.float64], NDArray[np.float64]]:
    """Occupied cells, their points, points per file, bounds; the files must share a coordinate system."""
    found: dict[Cell, int] = {}
    files: list[int] = []
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    systems: dict[str | None, Path] = {}
    for path in paths:
        number = 0
        for cloud in iter_points(path, chunk, attributes=()):
            systems.setdefault(cloud.crs, path)
            _check_crs(systems, cloud.crs)
            low, high = np.minimum(low, cloud.xyz.min(axis=0)), np.maximum(high, cloud.xyz.max(axis=0))
            cells = lattice.cells(cloud.xyz)
            corner = cells.min(axis=0)
            width = int(np.ptp(cells[:, 1])) + 1
            keys, counts = np.unique((cells[:, 0] - corner[0]) * width + cells[:, 1] - corner[1], return_counts=True)
            for x, y, count in zip(keys // width + corner[0], keys % width + corner[1], counts.tolist()):
                found[int(x), int(y)] = found.get((int(x), int(y)), 0) + count
            number += len(cloud)
        files.append(number)
    order = sorted(found)
    return np.array(order, np.int64).reshape(-1, 2), np.array([found[c] for c in order]), tuple(files), low, high


def _check_crs(systems: Mapping[str | None, Path], crs: str | None) -> None:
    """Raise :class:`PointReadError` if the system of a file is not that of the first one."""
    first, path = next(iter(systems.items()))
    if not same_crs(first, crs):
        raise PointReadError(
            systems[crs], 'fields', f'has {crs_name(crs)}, but {path} has {crs_name(first)}.',
            'Files of one run lie in one plane; predict them in separate runs.',
        )


def _checked(attributes: Attributes, path: Path, columns: Mapping[str, int] | None) -> Attributes:
    """The attributes, if they are finite and those of the chunks before."""
    for name, values in attributes.items():
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).any(axis=1).sum())
            raise PointReadError(path, 'fields', f'has {bad} points whose {name} is NaN or infinite.',
                                 'Remove these points or give them a value.')
    widths = {name: values.shape[1] for name, values in attributes.items()}
    if columns is not None and widths != columns:
        raise PointReadError(path, 'fields', f'has {sorted(widths)}, but the files before have {sorted(columns)}.',
                             'Predict files with other attributes in a run of their own.')
    return attributes


def _write(
    handle: int, buckets: PointBuckets, lattice: BlockLattice, filled: NDArray[np.int64], cloud: PointCloud,
    attributes: Attributes, first: int,
) -> None:
    """Put the points of one chunk behind those that their cells hold already."""
    records = np.empty(len(cloud), buckets.dtype)
    records['index'], records['xyz'] = np.arange(first, first + len(cloud)), cloud.xyz
    for name, values in attributes.items():
        records[name] = values
    for rank, rows in _runs(lattice.cells(cloud.xyz), buckets.cells):
        os.pwrite(handle, records[rows].tobytes(), int(filled[rank]) * records.dtype.itemsize)
        filled[rank] += len(rows)


def _runs(cells: NDArray[np.int64], known: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """(rank of a cell among ``known``, its rows in their order) of the cells of a chunk."""
    low = known.min(axis=0)
    width = int(np.ptp(known[:, 1])) + 1
    keys = (cells[:, 0] - low[0]) * width + cells[:, 1] - low[1]
    order = np.argsort(keys, kind='stable')
    cuts = np.flatnonzero(np.diff(keys[order])) + 1
    ranks = np.searchsorted((known[:, 0] - low[0]) * width + known[:, 1] - low[1], keys[order][np.append(0, cuts)])
    yield from zip(ranks.tolist(), np.split(order, cuts))


def _packed(facts: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays as the bytes of an npz."""
    import io

    stream = io.BytesIO()
    np.savez(stream, **facts)  # type: ignore[arg-type]
    return stream.getvalue()


def _opened(folder: Path) -> PointBuckets:
    """The finished buckets of a folder."""
    with np.load(folder / INDEX, allow_pickle=False) as facts:
        columns = dict(zip(facts['names'].tolist(), map(int, facts['widths'])))
        return PointBuckets(folder / POINTS, facts['cells'], facts['starts'], columns, tuple(facts['files'].tolist()),
                            facts['low'], facts['high'])
