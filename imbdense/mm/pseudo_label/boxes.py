"""From saved boxes to a COCO file: the rule, the ignore band, the size filter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from imbdense.core.pseudo_label import PseudoLabeler
from imbdense.data.outputs.store import OutputStore
from imbdense.data.pseudo import FilterTable, PseudoBoxes
from imbdense.mm.pseudo_label.outputs import ImageFile, Record, readable

Selected = tuple[list[PseudoBoxes], FilterTable]


def select_boxes(
    store: OutputStore, images: Sequence[ImageFile], labeler: PseudoLabeler, min_score: float, min_size: float
) -> Selected:
    """Sort every box from ``min_score`` by the rule; boxes with a side below ``min_size`` pixels go last.

    Returns:
        (images in order, table: predicted, minimum score, score band (positive or ignored), class threshold
        (positive), size).
    """
    classes = store.manifest['classes']
    steps = np.zeros((5, len(classes)), np.int64)
    found = []
    for image, record in readable(store, images):
        status = labeler.select(torch.from_numpy(record['scores']), torch.from_numpy(record['labels'])).numpy()
        status[record['scores'] < min_score] = 0
        large = _large(record, min_size)
        filters = (np.ones_like(large), record['scores'] >= min_score, status != 0, status == 1, (status == 1) & large)
        for step, mask in enumerate(filters):
            steps[step] += np.bincount(record['labels'][mask], minlength=len(classes))
        keep = (status != 0) & large
        found.append(PseudoBoxes(
            image.file_name, (int(record['size'][0]), int(record['size'][1])),
            record['boxes'][keep], record['labels'][keep], record['scores'][keep], status[keep] == -1,
        ))  # fmt: skip
    table = FilterTable(classes, 'boxes', steps[0])
    for name, counts in zip(('minimum score', 'score band', 'class threshold', 'size'), steps[1:]):
        table.add(name, counts)
    return found, table


def _large(record: Record, min_size: float) -> NDArray[np.bool_]:
    """Boxes with both sides of at least ``min_size`` pixels."""
    sides = record['boxes'][:, 2:] - record['boxes'][:, :2]
    large: NDArray[np.bool_] = (sides >= min_size).all(axis=1)
    return large
