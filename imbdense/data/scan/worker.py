"""Scan a handful of label files in this process."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.readers.errors import LabelReadError
from imbdense.data.readers.labels import IGNORED, INVALID, LabelFormat, narrow_indices
from imbdense.data.readers.masks import gdal_session
from imbdense.data.scan.records import FORMAT_VERSION, LabelRecords
from imbdense.data.scan.runs import count_label

MAX_PIXELS = 2**32


@dataclass(frozen=True)
class ScanSettings:
    """What is counted; two scans with equal settings share a cache.

    Attributes:
        label_format: stored numbers -> classes.
        regions: count 8-connected regions and their sizes.
        positions: pixels drawn per file and class, 0 = none.
        seed: of the draw.
    """

    label_format: LabelFormat
    regions: bool = True
    positions: int = 64
    seed: int = 0

    def key(self) -> str:
        """12 hex digits that identify the settings and the format of the cache."""
        plain: dict[str, Any] = {
            'version': FORMAT_VERSION,
            'regions': self.regions,
            'positions': self.positions,
            'seed': self.seed,
        }
        plain.update(self.label_format.identity())
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Failure:
    """A label file that could not be counted."""

    path: str
    code: str
    problem: str
    cure: str


def file_stamp(path: str) -> tuple[int, int]:
    """(size, mtime in ns); (-1, -1) for a file that is not there."""
    try:
        stat = os.stat(path)
    except OSError:
        return -1, -1
    return stat.st_size, stat.st_mtime_ns


def scan_files(root: str, names: Sequence[str], settings: ScanSettings) -> tuple[LabelRecords, list[Failure]]:
    """Count the label files ``root/name``; broken ones are reported instead of raised, and not recorded."""
    parts: list[LabelRecords] = []
    failures: list[Failure] = []
    with gdal_session():
        for name in names:
            path = os.path.join(root, name)
            stamp = file_stamp(path)
            try:
                parts.append(_scan_file(path, name, stamp, settings))
            except LabelReadError as error:
                failures.append(Failure(name, error.code, error.problem, error.cure))
    return LabelRecords.concat(parts), failures


def _scan_file(path: str, name: str, stamp: tuple[int, int], settings: ScanSettings) -> LabelRecords:
    """One file: decode, count, draw."""
    label_format = settings.label_format
    stored = label_format.read(path)
    if stored.size >= MAX_PIXELS:
        raise LabelReadError(path, 'shape', f'has {stored.size} pixels, more than 2^32.', 'Cut it into tiles.')
    label, wide = narrow_indices(stored)
    lookup = label_format.lookup
    if wide is not None:
        label, lookup = np.where(wide, np.uint8(INVALID), lookup[label]), np.arange(256, dtype=np.uint8)
    # The draw depends on the name inside the label folder only: not on the order, the worker or where the data lie.
    seed = (settings.seed, zlib.crc32(name.encode('utf-8', 'surrogateescape')))
    counts = count_label(
        label, lookup, len(label_format.classes), regions=settings.regions, positions=settings.positions, seed=seed
    )
    invalid = _invalid_values(stored, label_format) if counts.pixels[INVALID] else (np.zeros(0, np.int64),) * 2
    shape = (label.shape[0], label.shape[1])
    return LabelRecords.of_file(name, stamp, shape, counts, int(counts.pixels[IGNORED]), invalid)


def _invalid_values(stored: NDArray[Any], label_format: LabelFormat) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Stored values that are no class and not ignored, with their pixels (the first 64)."""
    values, counts = np.unique(stored, return_counts=True)
    inside = (values >= 0) & (values <= 255)
    bad = ~inside
    bad[inside] = label_format.lookup[values[inside].astype(np.int64)] == INVALID
    return values[bad][:64].astype(np.int64), counts[bad][:64].astype(np.int64)
