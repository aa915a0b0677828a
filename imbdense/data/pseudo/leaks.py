"""Unlabelled images that are labelled ones under the same or another name."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Leaks:
    """What was found.

    Attributes:
        dropped: unlabelled file -> (split, labelled file) with the same content.
        same_name: unlabelled files that share the name, but not the content, with a labelled one; they are kept.
        missing: labelled files that are not on disk, per split; they could not be compared.
    """

    dropped: dict[Path, tuple[str, str]]
    same_name: list[Path]
    missing: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            'dropped': {str(path): {'split': split, 'file': file} for path, (split, file) in self.dropped.items()},
            'same_name_other_content': [str(path) for path in self.same_name],
            'labelled_files_missing': self.missing,
        }


def find_leaks(unlabelled: Sequence[Path], labelled: Mapping[str, Sequence[str]]) -> Leaks:
    """Find the images of ``unlabelled`` that are also in a labelled split.

    Equal is: the same file, or the same bytes (sha256), whatever the name. Only files of equal length are read.

    Args:
        unlabelled: image files.
        labelled: split -> image files, for example ``{'train': [...], 'val': [...]}``.
    """
    by_size: dict[int, list[tuple[str, str]]] = defaultdict(list)
    names: set[str] = set()
    missing = {split: 0 for split in labelled}
    for split, files in labelled.items():
        for file in files:
            names.add(os.path.basename(file))
            try:
                by_size[os.path.getsize(file)].append((split, file))
            except OSError:
                missing[split] += 1
    dropped, same_name = {}, []
    for path in unlabelled:
        twin = _twin(path, by_size)
        if twin is not None:
            dropped[path] = twin
        elif path.name in names:
            same_name.append(path)
    return Leaks(dropped, same_name, {split: count for split, count in missing.items() if count})


def _twin(path: Path, by_size: Mapping[int, list[tuple[str, str]]]) -> tuple[str, str] | None:
    """The labelled file with the content of ``path``."""
    if not path.is_file():
        return None
    for split, file in by_size.get(path.stat().st_size, ()):
        if os.path.samefile(path, file) or _digest(str(path)) == _digest(file):
            return split, file
    return None


@cache
def _digest(file: str) -> str:
    """sha256 of a file."""
    with open(file, 'rb') as stream:
        return hashlib.file_digest(stream, 'sha256').hexdigest()
