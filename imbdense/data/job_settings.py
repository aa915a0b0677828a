"""What an unfinished job was begun with, kept beside its results: results of two settings must not meet in one file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imbdense.utils.files import atomic_write_json

JOB = 'job.json'


class OtherJob(ValueError):
    """The folder holds an unfinished job with other settings; the message tells which differ."""


def keep_settings(folder: Path, settings: Mapping[str, Any], what: str, **remembered: Any) -> dict[str, Any]:
    """Write ``folder``/job.json, or compare with the one that is there.

    Args:
        settings: everything the results depend on (JSON). what: what is unfinished, in words ('map').
        remembered: kept, but not compared: choices that change no result, which a job that goes on takes over.

    Returns:
        ``remembered`` of the job that is there, else the given one.

    Raises:
        OtherJob: the settings differ.
    """
    given = json.loads(json.dumps(dict(settings)))
    file = folder / JOB
    if not file.is_file():
        atomic_write_json(file, {**remembered, 'settings': given})
        return remembered
    known = json.loads(file.read_text('utf-8'))
    found = known.pop('settings')
    other = [key for key in {**found, **given} if found.get(key) != given.get(key)]
    if other:
        raise OtherJob(
            f'{folder} holds an unfinished {what} with other settings: '
            + '; '.join(f'{key} was {found.get(key)!r}, now {given.get(key)!r}' for key in sorted(other))
            + f'. Use those settings to finish it, remove {folder} to start anew, or choose another --out.'
        )
    return known
