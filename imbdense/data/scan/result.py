"""The result of a scan: counts, table, pixel index and faults, made from the per-file records in a few passes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imbdense.core.stats import ClassCounts, ImageClassTable
from imbdense.data.finding import Finding
from imbdense.data.readers.errors import LabelReadError
from imbdense.data.scan.pixel_index import PixelIndex
from imbdense.data.scan.records import LabelRecords
from imbdense.data.scan.runs import SIZE_BINS
from imbdense.data.scan.worker import Failure, ScanSettings


@dataclass(frozen=True, eq=False)
class ScanResult:
    """What is in the label files.

    Attributes:
        counts: per class, over all readable files.
        table: pixels per (image, class); row i is the i-th file asked for, an unreadable one has an empty row.
        records: the rows behind both, in the same order.
        findings: unreadable files and values that are no class, each with its file.
        root: the label folder.
        fresh: how many files were read now; the rest came from the cache.
        cache_file, counts_file: where the records and ``class_counts.json`` are; None when not kept.
    """

    counts: ClassCounts
    table: ImageClassTable
    records: LabelRecords
    findings: tuple[Finding, ...]
    root: str
    fresh: int
    cache_file: Path | None = None
    counts_file: Path | None = None

    @cached_property
    def pixel_index(self) -> PixelIndex:
        """Drawn positions per image and class, in the order of the files."""
        records = self.records
        return PixelIndex(records.shapes, records.entry_ptr, records.klass, records.position_ptr, records.positions)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that make the counts incomplete."""
        return tuple(finding for finding in self.findings if finding.severity == 'error')

    def raise_for_errors(self, limit: int = 3) -> ScanResult:
        """Return self, or raise :class:`LabelReadError` that names the first broken files."""
        if self.errors:
            first = self.errors[0]
            others = ''.join(f'\n  {finding.file}: {finding.message}' for finding in self.errors[1:limit])
            more = f'\n  and {len(self.errors) - limit} more' if len(self.errors) > limit else ''
            raise LabelReadError(first.file, first.code, first.message, f'{first.cure}{others}{more}')
        return self

    def with_counts_file(self, path: Path | None) -> ScanResult:
        """The same with the place of ``class_counts.json``."""
        return replace(self, counts_file=path)


def aggregate(
    records: LabelRecords,
    names: Sequence[str],
    folder: str,
    settings: ScanSettings,
    failures: Sequence[Failure],
    fresh: int,
    cache_file: Path | None,
) -> ScanResult:
    """Sum the records of ``names``; a name that comes twice counts twice."""
    row_of = {path: row for row, path in enumerate(records.paths)}
    broken = {failure.path for failure in failures}
    known = LabelRecords.concat([records, _blank_row()]) if broken else records
    rows = [len(records) if name in broken else row_of[name] for name in names]
    chosen = known if rows == list(range(len(known))) else known.take(rows)
    found = summarise(chosen, settings, folder, fresh, cache_file)
    return replace(found, findings=(*(_failure(failure, folder) for failure in failures), *found.findings))


def summarise(
    chosen: LabelRecords, settings: ScanSettings, folder: str, fresh: int = 0, cache_file: Path | None = None
) -> ScanResult:
    """The result for records that are in the wanted order."""
    classes = settings.label_format.classes
    table = ImageClassTable(chosen.entry_ptr, chosen.klass, chosen.pixels, len(classes))
    counts = _counts(chosen, table, settings, int((chosen.shapes[:, 0] > 0).sum()))
    findings = _invalid_findings(chosen, folder, settings)
    return ScanResult(counts, table, chosen, tuple(findings), folder, fresh, cache_file)


def _counts(chosen: LabelRecords, table: ImageClassTable, settings: ScanSettings, images: int) -> ClassCounts:
    """The totals over the rows."""
    classes = settings.label_format.classes
    size = len(classes)
    valid = np.zeros(len(chosen), np.int64)
    np.add.at(valid, table.entry_images, table.amounts)
    image_pixels = np.zeros(size, np.int64)
    np.add.at(image_pixels, table.classes, valid[table.entry_images])
    regions = sizes = None
    if settings.regions:
        regions = np.zeros(size, np.int64)
        np.add.at(regions, table.classes, chosen.regions)
        flat = np.zeros(size * SIZE_BINS, np.int64)
        np.add.at(flat, chosen.size_key, chosen.size_count)
        sizes = _trimmed(flat.reshape(size, SIZE_BINS))
    return ClassCounts(
        classes,
        pixels=table.totals,
        regions=regions,
        images=table.image_counts,
        image_pixels=image_pixels,
        num_images=images,
        ignored_pixels=int(chosen.ignored.sum()),
        cooccurrence=cooccurrence(table),
        object_sizes=sizes,
        fingerprint=_fingerprint(chosen, settings),
        of_points=settings.label_format.of_points,
    )


def cooccurrence(table: ImageClassTable) -> NDArray[np.int64]:
    """(C, C) images that contain both classes; the diagonal is the number of images of a class."""
    from scipy.sparse import csr_matrix

    ones = np.ones(table.classes.size, np.int64)
    present = csr_matrix((ones, table.classes, table.indptr), shape=(len(table), table.num_classes))
    return np.asarray((present.T @ present).todense(), np.int64)


def _trimmed(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Without the empty bins at the end."""
    used = np.flatnonzero(sizes.sum(0))
    return sizes[:, : int(used[-1]) + 1 if used.size else 1]


def _fingerprint(chosen: LabelRecords, settings: ScanSettings) -> str:
    """16 hex digits of names, sizes, times and settings."""
    digest = hashlib.sha256(settings.key().encode())
    digest.update('\0'.join(chosen.paths).encode('utf-8', 'surrogateescape'))
    digest.update(np.ascontiguousarray(chosen.stamps).tobytes())
    return digest.hexdigest()[:16]


def _blank_row() -> LabelRecords:
    """The row of a file that could not be read."""
    none, zero = np.zeros(0, np.int64), np.zeros(2, np.int64)
    return LabelRecords(
        ('',),
        np.full((1, 2), -1),
        np.zeros((1, 2), np.int32),
        np.zeros(1, np.int64),
        zero,
        none.astype(np.uint8),
        none,
        none,
        zero,
        none.astype(np.int32),
        none,
        zero,
        none,
        none,
        np.zeros(1, np.int64),
        none.astype(np.uint32),
    )


def _failure(failure: Failure, folder: str) -> Finding:
    """A broken file as a finding."""
    return Finding('error', failure.code, os.path.join(folder, failure.path), failure.problem, failure.cure)


def _invalid_findings(chosen: LabelRecords, folder: str, settings: ScanSettings) -> list[Finding]:
    """One finding per file that holds values which are no class."""
    found, label_format = {}, settings.label_format
    classes = len(label_format.classes)
    for row in np.flatnonzero(np.diff(chosen.invalid_ptr)).tolist():
        part = slice(chosen.invalid_ptr[row], chosen.invalid_ptr[row + 1])
        values = ', '.join(
            f'{label_format.describe_value(value)} ({count} px)'
            for value, count in zip(chosen.invalid_value[part].tolist()[:8], chosen.invalid_count[part].tolist()[:8])
        )
        path = os.path.join(folder, chosen.paths[row])
        found[path] = Finding(
            'error',
            'values',
            path,
            f'holds the values {values}, but the class list has {classes} names '
            f'(values 0 to {classes - 1}{" after reduce_zero_label" if label_format.reduce_zero_label else ""}, '
            f'{label_format.ignore_index} = ignored).',
            'Add the classes, map the values with label_map, or set them to the ignore index.',
        )
    return list(found.values())
