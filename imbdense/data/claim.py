"""A folder of generated data belongs to one request: what is asked differently later is refused, not mixed in."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from imbdense.utils.files import FileWriteError, atomic_write_json

SHOWN = 4
"""Differences that a message names."""
CURE = 'Choose another folder, or remove this one to make it anew; nothing was changed.'
_NOTHING = 'nothing'


class OtherDataError(FileWriteError):
    """The folder holds data that were generated from another request, or not at all; the message says what."""


@contextlib.contextmanager
def claimed(root: Path, asked: Mapping[str, Any], parts: str, record: str = 'dataset.json') -> Iterator[None]:
    """Keep ``root`` for what is asked, from the first file of a run to ``record``, which the block writes last.

    What is asked is noted in ``<record>.part`` before that, so that what an interrupted run has finished is recognised
    too; the note goes when the block ends without an error. Only one process at a time may enter.

    Args:
        root: folder of the data set, which exists.
        asked: the part of ``record`` that decides about the data (seed, dials), JSON types.
        parts: pattern of a file that tells of finished data; without one a note is of no account.

    Raises:
        OtherDataError: the folder holds what was made from something else, or what no run of this kind has made.
    """
    wanted, note = json.loads(json.dumps(asked)), root / f'{record}.part'
    if (root / record).is_file():
        _compare(root, root / record, wanted)
    else:
        finished = any(root.glob(parts))
        if finished and note.is_file():
            _compare(root, note, wanted)
        elif not finished and not note.is_file():
            _refuse_foreign(root)
        atomic_write_json(note, wanted)
    yield
    note.unlink(missing_ok=True)


def _refuse_foreign(root: Path) -> None:
    """Raise :class:`OtherDataError` if there is anything: somebody else's data would lose splits and records."""
    found = sorted(entry.name for entry in root.iterdir() if not entry.name.startswith('.'))
    if found:
        raise OtherDataError(
            f'{root} is not empty and holds nothing of this kind, but {", ".join(found[:SHOWN])}. {CURE}')


def _compare(root: Path, path: Path, wanted: Mapping[str, Any]) -> None:
    """Raise :class:`OtherDataError` unless a record holds what is wanted."""
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        present = {name: content[name] for name in wanted}
        alike = not any(set(value).isdisjoint(present[name]) for name, value in wanted.items()
                        if isinstance(value, Mapping))
    except (ValueError, KeyError, TypeError):
        alike = False
    if not alike:
        raise OtherDataError(f'{root} holds data of another kind: {path.name} is no record of these. {CURE}')
    present, asked = _flat(present), _flat(wanted)
    other = [name for name in present | asked if present.get(name, _NOTHING) != asked.get(name, _NOTHING)]
    if other:
        words = [f'{name} is {present.get(name, _NOTHING)} there, but {asked.get(name, _NOTHING)} is asked'
                 for name in other[:SHOWN]]
        more = f', and {len(other) - SHOWN} more' if len(other) > SHOWN else ''
        raise OtherDataError(f'{root} holds other data (see {path.name}): {"; ".join(words)}{more}. {CURE}')


def _flat(value: Mapping[str, Any], head: str = '') -> dict[str, Any]:
    """Nested mappings as one, with dotted names."""
    found: dict[str, Any] = {}
    for name, item in value.items():
        found |= _flat(item, f'{head}{name}.') if isinstance(item, Mapping) else {f'{head}{name}': item}
    return found
