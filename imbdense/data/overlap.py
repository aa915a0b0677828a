"""Images that are in two lists at once."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imbdense.data.checks.images import content_digest


@dataclass(frozen=True)
class Overlap:
    """What a second list shares with a first one.

    Attributes:
        same: (index in the second list, file, file of the first list) of images that are the same file, or have the
            same content.
        same_name: file names that both lists have with different content.
    """

    same: tuple[tuple[int, str, str], ...]
    same_name: tuple[str, ...]

    @property
    def indices(self) -> list[int]:
        """Places in the second list that are also in the first."""
        return [index for index, _, _ in self.same]

    def describe(self, limit: int = 5) -> str:
        """The first pairs, for a message."""
        shown = '\n'.join(f'  {file} = {other}' for _, file, other in self.same[:limit])
        return shown + (f'\n  and {len(self.same) - limit} more' if len(self.same) > limit else '')


def find_overlap(first: Sequence[str], second: Sequence[str]) -> Overlap:
    """Compare two lists of files: by path, by name, and by a hash of the content.

    Only files of equal size are read, so two lists of photographs cost little. A copy that was encoded anew or resized
    is not found. Files that do not exist are compared by path only.

    Args:
        first, second: paths.
    """
    known = {os.path.realpath(file): file for file in first}
    by_size: dict[int, list[str]] = defaultdict(list)
    for file in first:
        if os.path.isfile(file):
            by_size[os.path.getsize(file)].append(file)
    digests: dict[int, dict[bytes, str]] = {}
    names = {Path(file).name for file in first}
    same: list[tuple[int, str, str]] = []
    same_name: list[str] = []
    for index, file in enumerate(second):
        other = known.get(os.path.realpath(file)) or _equal_content(file, by_size, digests)
        if other is not None:
            same.append((index, file, other))
        elif Path(file).name in names:
            same_name.append(Path(file).name)
    return Overlap(tuple(same), tuple(same_name))


def _equal_content(
    file: str, by_size: dict[int, list[str]], digests: dict[int, dict[bytes, str]]
) -> str | None:
    """A file of the first list with the content of ``file``; hashes are made once per size."""
    if not os.path.isfile(file):
        return None
    size = os.path.getsize(file)
    if size not in by_size:
        return None
    if size not in digests:
        digests[size] = {content_digest(candidate): candidate for candidate in by_size[size]}
    return digests[size].get(content_digest(file))
