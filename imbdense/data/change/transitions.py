"""How much of every transition between land covers the pairs of a data set hold: counted once, kept in a cache."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbdense.core.stats import ImageClassTable
from imbdense.data.change.labels import IGNORE, transition_ids
from imbdense.data.change.pairs import PairFiles
from imbdense.data.readers.labels import LabelFormat, read_label
from imbdense.data.scan.cache import writable_folder
from imbdense.data.scan.pool import default_workers, map_chunks
from imbdense.data.scan.worker import file_stamp
from imbdense.utils.files import FileWriteError, atomic_write_bytes

VERSION, CHUNK, PARALLEL_FROM = 1, 16, 64
Row = tuple[NDArray[np.int32], NDArray[np.int64]]
"""Of one pair: ids as :func:`transition_ids` gives them, with three more for contradictions, and pixels of each."""
SAME, CONTRADICTED, ONE_DATE = -3, -4, -5


@dataclass(frozen=True, eq=False)
class TransitionCounts:
    """Pixels per transition, from the first to the last date.

    Attributes:
        land_cover: names of the S classes.
        rows: per pair, ids and pixels.
    """

    land_cover: tuple[str, ...]
    rows: tuple[Row, ...]

    @cached_property
    def matrix(self) -> NDArray[np.int64]:
        """(S, S) changed pixels, row = land cover before, column = after."""
        size = len(self.land_cover)
        total = np.zeros(size * size, np.int64)
        for ids, pixels in self.rows:
            np.add.at(total, ids[ids >= 0], pixels[ids >= 0])
        return total.reshape(size, size)

    @cached_property
    def present(self) -> NDArray[np.int64]:
        """Ids S * before + after of the transitions that occur, ascending."""
        return np.flatnonzero(self.matrix)

    def name(self, number: int) -> str:
        """``building -> road`` of a transition."""
        before, after = divmod(int(number), len(self.land_cover))
        return f'{self.land_cover[before]} -> {self.land_cover[after]}'

    @property
    def names(self) -> list[str]:
        """Names of the columns of :meth:`table`."""
        return ['unchanged', *(self.name(number) for number in self.present)]

    def table(self) -> ImageClassTable:
        """Pixels per pair and class: 0 = unchanged, then every transition that occurs (:attr:`present`)."""
        column = {-1: 0, **{int(number): place for place, number in enumerate(self.present, 1)}}
        dense = np.zeros((len(self.rows), len(column)), np.int64)
        for row, (ids, pixels) in enumerate(self.rows):
            for number, amount in zip(ids.tolist(), pixels.tolist()):
                if number in column:
                    dense[row, column[number]] = amount
        return ImageClassTable.from_dense(dense)

    def pixels_of(self, number: int) -> NDArray[np.int64]:
        """(I,) pixels of an id in every pair; ``SAME``: changed, though the land cover is the same at both dates;
        ``CONTRADICTED``: unchanged, though it differs; ``ONE_DATE``: changed, and known at one date only."""
        return np.array([int(pixels[ids == number].sum()) for ids, pixels in self.rows], np.int64)


def count_transitions(
    pairs: Sequence[PairFiles],
    change_format: LabelFormat,
    land_cover_format: LabelFormat,
    *,
    root: str | None = None,
    workers: int | None = None,
    cache: bool = True,
) -> TransitionCounts:
    """Read the label maps of all pairs, those only that are new or changed since the last time.

    Args:
        pairs: each with a change map and land cover.
        change_format, land_cover_format: how their numbers become classes.
        root: folder beside which the cache lies; default that of the first change map.
        workers: processes; default all CPUs for many pairs. The result does not depend on it.

    Raises:
        LabelReadError: a broken map, or a value that is no class. ValueError: maps of different size.
    """
    stamps = [_stamps(pair) for pair in pairs]
    store = _store(pairs, change_format, land_cover_format, root) if cache else None
    known = _load(store)
    todo = [pair for pair, stamp in zip(pairs, stamps) if stamp not in known]
    many = (default_workers() if len(todo) >= PARALLEL_FROM else 1) if workers is None else workers
    chunks = [todo[first : first + CHUNK] for first in range(0, len(todo), CHUNK)]
    for found in map_chunks(_count_chunk, chunks, change_format, land_cover_format, workers=many) if chunks else ():
        known.update(found)
    rows = {stamp: known[stamp] for stamp in stamps}
    if store is not None and todo:
        mine = {_first_file(stamp) for stamp in rows}  # an older state of these files is of no use to anybody
        others = {stamp: row for stamp, row in known.items() if stamp not in rows and _first_file(stamp) not in mine}
        _save(store, others | rows)
    return TransitionCounts(land_cover_format.classes, tuple(rows[stamp] for stamp in stamps))


def _count_chunk(pairs: list[PairFiles], change_format: LabelFormat, cover_format: LabelFormat) -> dict[str, Row]:
    """Some pairs, in a worker."""
    return {_stamps(pair): _count(pair, change_format, cover_format) for pair in pairs}


def _count(pair: PairFiles, change_format: LabelFormat, cover_format: LabelFormat) -> Row:
    """One pair."""
    files = [str(pair.change), pair.land_cover[0], pair.land_cover[-1]]
    change, first, last = (
        read_label(path, form) for path, form in zip(files, (change_format, cover_format, cover_format))
    )
    for path, label in zip(files[1:], (first, last)):
        if label.shape != change.shape:
            raise ValueError(f'{path} is {label.shape}, but {pair.change} is {change.shape} (height, width).')
    ids = transition_ids(change, (first, last), len(cover_format.classes))
    both, changed = (first != IGNORE) & (last != IGNORE), (change != 0) & (change != IGNORE)
    numbers, pixels = np.unique(ids, return_counts=True)
    same = int(np.count_nonzero(changed & both & (first == last)))
    one_date = int(np.count_nonzero(changed & ((first != IGNORE) != (last != IGNORE))))
    contradicted = int(np.count_nonzero((change == 0) & both & (first != last)))
    return (
        np.append(numbers, [SAME, CONTRADICTED, ONE_DATE]).astype(np.int32),
        np.append(pixels, [same, contradicted, one_date]).astype(np.int64),
    )


def _stamps(pair: PairFiles) -> str:
    """Names, sizes and times of the files that are read."""
    files = [str(pair.change), *pair.land_cover]
    return json.dumps([[os.path.abspath(file), *file_stamp(file)] for file in files])


def _first_file(stamp: str) -> str:
    """The change map of a pair."""
    return str(json.loads(stamp)[0][0])


def _store(pairs: Sequence[PairFiles], change: LabelFormat, cover: LabelFormat, root: str | None) -> Path | None:
    """The file of the cache; ``None`` where nothing can be written."""
    folder = writable_folder(root or os.path.dirname(str(pairs[0].change)))
    plain = repr((VERSION, change.label_map, change.palette, len(change.classes), len(cover.classes), cover.label_map,
                  cover.reduce_zero_label, cover.palette))  # fmt: skip
    key = hashlib.sha256(plain.encode()).hexdigest()[:12]
    return None if folder is None else folder / f'transitions-{key}.npz'


def _load(store: Path | None) -> dict[str, Row]:
    """What an earlier run counted; nothing where the file is missing or damaged."""
    if store is None or not store.is_file():
        return {}
    try:
        with np.load(store, allow_pickle=False) as data:
            stamps = json.loads(data['stamps'].tobytes())
            parts = [np.split(data[name], data['ends'][:-1]) for name in ('ids', 'pixels')]
        return dict(zip(stamps, zip(*parts)))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return {}


def _save(store: Path, rows: dict[str, Row]) -> None:
    """Keep the counts; a cache that cannot be written costs time only."""
    buffer = io.BytesIO()
    np.savez(
        buffer,
        stamps=np.frombuffer(json.dumps(list(rows)).encode(), np.uint8),
        ends=np.cumsum([len(ids) for ids, _ in rows.values()]),
        ids=np.concatenate([ids for ids, _ in rows.values()]),
        pixels=np.concatenate([pixels for _, pixels in rows.values()]),
    )
    with contextlib.suppress(FileWriteError):
        atomic_write_bytes(store, buffer.getvalue())
