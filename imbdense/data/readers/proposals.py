"""Proposals of a model: a COCO json whose annotations have a score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imbdense.data.finding import log_findings
from imbdense.data.readers.coco import read_coco
from imbdense.data.readers.detection import DetectionAnnotations
from imbdense.data.readers.errors import LabelReadError

ROUNDING = 1e-6


def read_proposals(path: str | Path, classes: Sequence[str] | None = None) -> DetectionAnnotations:
    """:func:`read_coco` for proposals: what it clips or leaves out is logged, scores have to be probabilities.

    Raises:
        LabelReadError: see :func:`read_coco`; a score outside [0, 1], on which every threshold would be wrong.
    """
    found = read_coco(path, classes)
    log_findings(found.findings)
    wrong = np.flatnonzero((found.score < 0) | (found.score > 1 + ROUNDING))
    if wrong.size:
        first = int(wrong[0])
        raise LabelReadError(
            path, 'schema', f'has {wrong.size} scores outside [0, 1]; the first is {found.score[first]:g}, of '
            f'annotation number {found.entry[first]}.',
            'Thresholds take scores for probabilities: divide percentages by 100, put logits through a sigmoid.')
    return found
