"""Artefacts of finished evaluations, from a file that ``ReportHook`` wrote or from a work dir."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from imbdense.cli.main import UserError


def read_artifacts(path: Path) -> dict[str, dict[str, Any]]:
    """Kind -> artefact: of one ``<split>_<step>_<kind>.json``, or of the last evaluation of a work dir.

    Raises:
        UserError: nothing readable is there; the message names it.
    """
    from imbdense.report.workdir import WorkDirError, read_run

    if path.is_dir():
        try:
            last = read_run(path).last
        except WorkDirError as error:
            raise UserError(str(error)) from error
        artifacts = last.artifacts if last else {}
    else:
        artifacts = _read_file(path)
    if not artifacts:
        raise UserError(f'{path} holds no artefact of an evaluation. Evaluate with the hook imbdense.ReportHook.')
    return artifacts


def _read_file(path: Path) -> dict[str, dict[str, Any]]:
    """The artefact in a JSON file, bare or below ``artifact``."""
    try:
        record = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        hint = 'Give a work dir, or a file of its folder imbdense/.'
        raise UserError(f'{path} cannot be read ({error}). {hint}') from error
    artifact = record.get('artifact', record) if isinstance(record, dict) else None
    return {str(artifact['kind']): artifact} if isinstance(artifact, dict) and 'kind' in artifact else {}
