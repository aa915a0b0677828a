"""The one look at all bytes of a pool: hashes of the files and rows that no selector can use; remembered beside it."""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.utils.files import FileWriteError, atomic_write_bytes, atomic_write_json

CHECKED, USABLE = 'checked.json', 'usable.npy'
BLOCK = 16 << 20
"""Bytes read at a time."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        fingerprint: 32 hex digits that change with any byte of any file.
        usable: (N,) bool; ``None`` = every row.
        reasons: (rows that are not finite, rows that are all zero).
    """

    fingerprint: str
    usable: NDArray[np.bool_] | None
    reasons: tuple[int, int]

    @property
    def unusable(self) -> int:
        """Rows that no selector can use."""
        return sum(self.reasons)


def inspect_pool(folder: Path, names: Sequence[str], features: NDArray[Any]) -> Inspection:
    """What was found before, if no file has changed its size or time since; else look at everything.

    Args:
        names: the files the pool consists of. features: (N, D) memory map of ``obj_feat.npy``.
    """
    stamps = {name: [(folder / name).stat().st_size, (folder / name).stat().st_mtime_ns] for name in sorted(names)}
    known = _remembered(folder, stamps, len(features))
    if known is not None:
        return known
    digest = hashlib.sha256()
    for name in stamps:
        digest.update(f'{name} {_file_digest(folder / name)}\n'.encode())
    usable, reasons = usable_rows(features)
    found = Inspection(digest.hexdigest()[:32], None if usable.all() else usable, reasons)
    _remember(folder, stamps, found)
    return found


def usable_rows(features: NDArray[Any], block: int = BLOCK) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """((N,) whether a row is finite and not all zero, (rows not finite, rows all zero)), ``block`` bytes at a time.

    Rows without any number (D = 0) are not usable: they count as all zero.
    """
    usable = np.zeros(len(features), bool)
    step = max(1, block // max(1, features.dtype.itemsize * features.shape[1]))
    infinite = 0
    for start in range(0, len(features), step):
        rows = np.asarray(features[start : start + step])
        finite = np.isfinite(rows).all(axis=1)
        usable[start : start + step] = finite & (rows != 0).any(axis=1)
        infinite += int((~finite).sum())
    return usable, (infinite, int((~usable).sum()) - infinite)


def _file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with open(path, 'rb') as stream:
        digest = hashlib.sha256()
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _remembered(folder: Path, stamps: dict[str, list[int]], rows: int) -> Inspection | None:
    """The last inspection, if it was of these files; anything odd about the record means to look again."""
    try:
        record = json.loads((folder / CHECKED).read_text(encoding='utf-8'))
        if record['files'] != stamps:
            return None
        usable = None
        if record['unusable'] != [0, 0]:
            usable = np.load(folder / USABLE, allow_pickle=False)
            if usable.shape != (rows,) or usable.dtype != bool or int((~usable).sum()) != sum(record['unusable']):
                return None
        return Inspection(str(record['fingerprint']), usable, (record['unusable'][0], record['unusable'][1]))
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def _remember(folder: Path, stamps: dict[str, list[int]], found: Inspection) -> None:
    """Write the record; a folder that is read-only stays as it is."""
    try:
        if found.usable is not None:
            stream = io.BytesIO()
            np.save(stream, found.usable, allow_pickle=False)
            atomic_write_bytes(folder / USABLE, stream.getvalue())
        record = {'files': stamps, 'fingerprint': found.fingerprint, 'unusable': list(found.reasons)}
        atomic_write_json(folder / CHECKED, record)
    except FileWriteError as error:
        _logger.warning('the check of %s cannot be kept, each opening will read it whole: %s', folder, error)
