"""Count the classes in label files: in parallel, once, kept in a cache by the fingerprint of the files."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from imbdense.data.readers.labels import LabelFormat
from imbdense.data.scan.cache import ScanCache
from imbdense.data.scan.pool import default_workers, map_chunks
from imbdense.data.scan.records import LabelRecords
from imbdense.data.scan.result import ScanResult, aggregate
from imbdense.data.scan.runs import kernels
from imbdense.data.scan.worker import Failure, ScanSettings, file_stamp, scan_files
from imbdense.utils.files import FileWriteError, atomic_write_text

logger = logging.getLogger('imbdense')

CHUNK = 16
PART_SECONDS = 5.0
PARALLEL_FROM = 64
"""Fewer files are counted in this process: starting workers would take longer."""


def scan_labels(
    files: Sequence[str | Path],
    label_format: LabelFormat,
    *,
    root: str | Path | None = None,
    name: str = '',
    regions: bool = True,
    positions: int = 64,
    seed: int = 0,
    workers: int | None = None,
    cache: bool = True,
    progress: bool = False,
) -> ScanResult:
    """Count pixels, 8-connected regions, images, co-occurrence and region sizes per class, and draw class positions.

    Only files that are new or changed (size, mtime) since the last scan with the same settings are read. The result
    does not depend on ``workers``, on the order of earlier scans, or on interruptions: a scan that was killed goes on
    from the parts it left and ends with the same bytes in the cache.

    Args:
        files: label files, one per image; row i of the result's tables is ``files[i]``. The same file may come twice.
        label_format: class list and how stored numbers become classes.
        root: the label folder; default the deepest common folder. The cache lies in ``<root>/.imbdense`` and the
            counts in ``<root>/class_counts[_name].json``, or in ``~/.cache/imbdense`` where root cannot be written.
        name: split, part of the name of the JSON when several splits share ``root``.
        regions: count regions and their sizes (about as costly as the rest of counting), where labels have them.
        positions: pixels drawn per file and class for crops; 0 = none.
        seed: of that draw.
        workers: processes; default all CPUs, 0 or 1 = here.
        cache: False neither reads nor writes anything.
        progress: show a bar on a terminal.

    Raises:
        ValueError: no files. Broken *label files* do not raise: see :meth:`ScanResult.raise_for_errors`.
    """
    if len(files) == 0:
        raise ValueError('there are no label files to count. Check data_root, data_prefix and the suffixes.')
    settings = ScanSettings(label_format, regions and label_format.has_regions, positions, seed)
    paths = [os.path.abspath(file) for file in files]
    folder = os.path.abspath(root) if root is not None else _common_folder(paths)
    names = [_relative(path, folder) for path in paths]
    store = ScanCache(folder, settings.key()) if cache else None
    records, failures, fresh = _gather(names, folder, settings, store, workers, progress)
    result = aggregate(records, names, folder, settings, failures, fresh, store.file if store else None)
    return result.with_counts_file(_write_counts(result, store, folder, name)) if store else result


def _gather(
    names: Sequence[str],
    folder: str,
    settings: ScanSettings,
    store: ScanCache | None,
    workers: int | None,
    progress: bool,
) -> tuple[LabelRecords, list[Failure], int]:
    """(records of all readable names, failures, how many files were read now)."""
    wanted = list(dict.fromkeys(names))
    if store is None:
        found, failures = _scan(wanted, folder, settings, None, workers, progress)
        return found, failures, len(wanted)
    stamps = {name: file_stamp(os.path.join(folder, name)) for name in wanted}
    records = store.load()
    if not _stale(wanted, stamps, records):
        return records, [], 0
    with store.lock():
        known = store.load()  # another process may have filled it while this one waited
        known = _merge([known, *store.load_parts()], folder)
        todo = _stale(wanted, stamps, known)
        found, failures = _scan(todo, folder, settings, store, workers, progress)
        merged = _merge([known, found], folder)
        if len(found) or not _same(merged, records):
            store.save(merged)
    return merged, failures, len(todo)


def _scan(
    todo: Sequence[str],
    folder: str,
    settings: ScanSettings,
    store: ScanCache | None,
    workers: int | None,
    progress: bool,
) -> tuple[LabelRecords, list[Failure]]:
    """Read the files, keeping parts on the way."""
    if not todo:
        return LabelRecords.empty(), []
    kernels()  # compiled here once, inherited by the workers
    chunks = [list(todo[first : first + CHUNK]) for first in range(0, len(todo), CHUNK)]
    many = default_workers() if workers is None else workers
    if workers is None and len(todo) < PARALLEL_FROM:
        many = 1
    parts: list[LabelRecords] = []
    failures: list[Failure] = []
    kept, saved = 0, time.monotonic()
    with _bar(len(todo), progress) as advance:
        try:
            for found, broken in map_chunks(_scan_chunk, chunks, folder, settings, workers=many):
                parts.append(found)
                failures += broken
                advance(len(found) + len(broken))
                if store is not None and time.monotonic() - saved > PART_SECONDS:
                    store.add_part(LabelRecords.concat(parts[kept:]))
                    kept, saved = len(parts), time.monotonic()
        except BaseException:
            if store is not None and len(parts) > kept:
                store.add_part(LabelRecords.concat(parts[kept:]))  # Ctrl-C keeps what was counted
            raise
    return LabelRecords.concat(parts), sorted(failures, key=lambda failure: failure.path)


def _scan_chunk(names: list[str], folder: str, settings: ScanSettings) -> tuple[LabelRecords, list[Failure]]:
    """The worker's task."""
    return scan_files(folder, names, settings)


def _stale(wanted: Sequence[str], stamps: dict[str, tuple[int, int]], records: LabelRecords) -> list[str]:
    """Names without a record of their present stamp."""
    known = dict(zip(records.paths, map(tuple, records.stamps.tolist())))
    return [name for name in wanted if known.get(name) != stamps[name] or stamps[name][0] < 0]


def _merge(parts: Sequence[LabelRecords], folder: str) -> LabelRecords:
    """One row per file that exists, the latest one, sorted by name: equal content gives equal bytes."""
    whole = LabelRecords.concat(parts)
    latest = {path: row for row, path in enumerate(whole.paths)}
    rows = [latest[path] for path in sorted(latest) if os.path.exists(os.path.join(folder, path))]
    return whole.take(rows)


def _same(one: LabelRecords, two: LabelRecords) -> bool:
    """Whether two sets of records are of the same state of the same files."""
    return one.paths == two.paths and np.array_equal(one.stamps, two.stamps)


def _write_counts(result: ScanResult, store: ScanCache, folder: str, name: str) -> Path | None:
    """Write class_counts.json beside the labels, or beside the cache; None when neither can be written."""
    if store.folder is None:
        return None
    file_name = f'class_counts_{name}.json' if name else 'class_counts.json'
    beside = store.folder.parent == Path(folder)
    path = (Path(folder) if beside else store.folder) / file_name
    text = result.counts.to_json()
    try:
        if not path.exists() or path.read_text(encoding='utf-8') != text:
            atomic_write_text(path, text)
    except (FileWriteError, OSError, UnicodeDecodeError) as error:
        logger.warning('the class counts were not written: %s', error)
        return None
    return path


def _common_folder(paths: Sequence[str]) -> str:
    """The deepest folder that holds all files."""
    return os.path.commonpath([os.path.dirname(path) for path in set(paths)])


def _relative(path: str, folder: str) -> str:
    """Path below the folder with '/', without the cost of relpath in the usual case."""
    prefix = folder.rstrip(os.sep) + os.sep
    inside = path[len(prefix) :] if path.startswith(prefix) else os.path.relpath(path, folder)
    return inside.replace(os.sep, '/')


@contextlib.contextmanager
def _bar(total: int, wanted: bool) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal, otherwise nothing."""
    if not wanted or not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn('counting labels'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task('', total=total)
        yield lambda count: bar.advance(task, count)
