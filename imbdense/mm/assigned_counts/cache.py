"""Counts kept on disk: one small JSON file beside the annotations, else in the user's cache folder."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from imbdense.core.stats import AssignedCounts
from imbdense.data.scan.cache import writable_folder
from imbdense.mm.dataset_wrappers import leaves
from imbdense.utils.files import FileWriteError, atomic_write_json

logger = logging.getLogger('imbdense')

FORMAT = 1


class CountCache:
    """The counts of one model and data set under one key.

    A file that is damaged or cannot be written is a warning, never an error: the counts are then made anew.

    Args:
        dataset: the folder of its annotation file, else its ``data_root``, is where the cache lies.
        key: of :func:`~imbdense.mm.assigned_counts.fingerprint.key_of`.
    """

    def __init__(self, dataset: Any, key: str) -> None:
        folder = _home(dataset)
        place = None if folder is None else writable_folder(folder)
        self.file = None if place is None else place / f'assigned-{key}.json'

    def load(self) -> dict[str, AssignedCounts] | None:
        """Path of a head -> its counts; ``None`` when there are none."""
        if self.file is None or not self.file.is_file():
            return None
        try:
            record = json.loads(self.file.read_text('utf-8'))
            if record['format'] != FORMAT:
                return None
            return {path: AssignedCounts.from_dict(counts) for path, counts in record['heads'].items()}
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning('%s is damaged (%s); the samples are counted again', self.file, error)
            return None

    def save(self, counts: dict[str, AssignedCounts]) -> None:
        """Write the counts."""
        if self.file is None:
            return
        try:
            atomic_write_json(
                self.file, {'format': FORMAT, 'heads': {path: item.to_dict() for path, item in counts.items()}}
            )
        except FileWriteError as error:
            logger.warning('the counts are not kept: %s', error)


def _home(dataset: Any) -> str | None:
    """The folder the first innermost data set is described in."""
    base = next(leaves(dataset))
    ann_file, root = getattr(base, 'ann_file', '') or '', getattr(base, 'data_root', '') or ''
    if ann_file and os.path.isfile(ann_file):
        return str(Path(ann_file).parent)
    return root if root and os.path.isdir(root) else None
