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

STEPS = ('predicted', 'minimum score', 'score band', 'class threshold', 'size')
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
    steps = np.zeros((len(STEPS), len(classes)), np.int64)
    found = []
    for image, record in readable(store, images):
        large = (record['boxes'][:, 2:] - record['boxes'][:, :2] >= min_size).all(axis=1)
        status, filters = sort_boxes(record, labeler, min_score, large)
        for step, mask in enumerate(filters):
            steps[step] += np.bincount(record['labels'][mask], minlength=len(classes))
        found.append(pseudo_boxes(image, record, status))
    table = FilterTable(classes, 'boxes', steps[0])
    for name, counts in zip(STEPS[1:], steps[1:]):
        table.add(name, counts)
    return found, table


def sort_boxes(
    record: Record, labeler: PseudoLabeler, min_score: float, large: NDArray[np.bool_]
) -> tuple[NDArray[np.int8], list[NDArray[np.bool_]]]:
    """(N,) status: 1 = positive, -1 = ignored, 0 = dropped; and which boxes each of the five filters leaves.

    ``large`` (N,): boxes that are not too small.
    """
    scores = record['scores']
    counted = scores >= min_score
    status = labeler.select(torch.from_numpy(scores), torch.from_numpy(record['labels'])).numpy()
    status = np.where(counted, status, 0)
    filters = [np.ones_like(large), counted, status != 0, status == 1, (status == 1) & large]
    return np.where(large, status, 0), filters


def pseudo_boxes(image: ImageFile, record: Record, status: NDArray[np.int8]) -> PseudoBoxes:
    """What is kept of an image."""
    keep = status != 0
    size = tuple(record['size'].tolist()) if 'size' in record else None  # point clouds have none
    return PseudoBoxes(
        image.file_name, size, record['boxes'][keep], record['labels'][keep], record['scores'][keep],
        status[keep] == -1,
    )  # fmt: skip
