"""The sidecar of a folder of pseudo-labels: what made them, so that a stopped run goes on and no other overwrites."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imbdense.utils.files import atomic_write_json

SIDECAR = 'pseudo_sidecar.json'
FORMAT = 1


class SidecarError(ValueError):
    """A folder holds pseudo-labels of something else; the message names the differences."""


def claim_folder(
    folder: Path, identity: Mapping[str, Any], what: str = 'pseudo-labels', option: str = '--out'
) -> bool:
    """Write the sidecar of a new folder, or see that the present one is equal.

    Ranks that start together may all call it: they write the same bytes.

    Args:
        folder: where pseudo-labels go; made if it is not there.
        identity: what decides the result (checkpoint sha256, hash of the config, rule, images); JSON types.
        what, option: what the folder holds and the flag that chooses it, for messages.

    Returns:
        Whether the folder was already claimed by an equal run, whose finished files can be kept.

    Raises:
        SidecarError: another identity, a broken sidecar, or files of somebody else and no sidecar.
    """
    wanted = json.loads(json.dumps({'format': FORMAT, **identity}))
    # Names before the sidecar: another rank may write it in between. Hidden ones are files that are being written.
    names = [entry.name for entry in folder.iterdir() if entry.name[0] != '.'] if folder.is_dir() else []
    path = folder / SIDECAR
    if not path.exists():
        if names:
            raise SidecarError(
                f'{folder} is not empty and holds no {SIDECAR}: nothing in it is overwritten. Choose another '
                f'{option}.'
            )
        atomic_write_json(path, wanted)
        return False
    try:
        present = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise SidecarError(f'{path} cannot be read ({error}). Remove {folder}, or choose another {option}.') from error
    present = present if isinstance(present, dict) else {}
    other = [key for key in sorted({*present, *wanted}) if present.get(key) != wanted.get(key)]
    if other:
        words = '; '.join(f'{key}: {present.get(key)} there, {wanted.get(key)} now' for key in other)
        raise SidecarError(
            f'{folder} holds {what} of something else ({words}). They are not overwritten: choose another '
            f'{option}, or remove the folder.'
        )
    return True
