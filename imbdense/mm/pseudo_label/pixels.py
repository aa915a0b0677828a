"""From saved label maps to filtered ones: rejected pixels become 255."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from imbdense.core.pseudo_label import PseudoLabeler
from imbdense.data.outputs.store import OutputStore
from imbdense.data.pseudo import FilterTable
from imbdense.mm.pseudo_label.outputs import LEVELS, ImageFile, png_array, png_bytes, readable
from imbdense.utils.distributed import rank_and_world, sum_over_ranks
from imbdense.utils.files import atomic_write_bytes

REJECTED = 255


def confidence_table(store: OutputStore, images: Sequence[ImageFile]) -> NDArray[np.int64]:
    """(C, 256) pixels of each predicted class with each confidence floor(255 p); equal on all ranks, which share the
    images."""
    classes = len(store.manifest['classes'])
    rank, world = rank_and_world()
    table = np.zeros(classes * (LEVELS + 1), np.int64)
    for place, (_, record) in enumerate(readable(store, images)):
        if place % world == rank:
            label = png_array(record['label']).astype(np.int64)
            table += np.bincount((label * (LEVELS + 1) + png_array(record['confidence'])).reshape(-1),
                                 minlength=table.size)
    return sum_over_ranks({'table': table.reshape(classes, -1)})['table']


def accepted_levels(labeler: PseudoLabeler, classes: int) -> NDArray[np.bool_]:
    """(C, 256) whether the rule accepts a pixel of that class and confidence q / 255 (the lower end of its bin)."""
    scores = (torch.arange(LEVELS + 1, dtype=torch.float32) / LEVELS).repeat(classes)
    labels = torch.arange(classes).repeat_interleave(LEVELS + 1)
    accepted: NDArray[np.bool_] = (labeler.select(scores, labels) == 1).view(classes, -1).numpy()
    return accepted


def write_label_maps(
    store: OutputStore, images: Sequence[ImageFile], accepted: NDArray[np.bool_], folder: Path
) -> None:
    """``labels/NAME.png`` (class index, 255 = rejected) and ``confidence/NAME.png`` (floor(255 p) of every pixel).

    Ranks share the images; files that are there are left alone.
    """
    rank, world = rank_and_world()
    for place, (image, record) in enumerate(readable(store, images)):
        targets = [folder / kind / f'{image.name}.png' for kind in ('labels', 'confidence')]
        if place % world != rank or all(target.is_file() for target in targets):
            continue
        label, confidence = png_array(record['label']), png_array(record['confidence'])
        kept = np.where(accepted[label, confidence], label, np.uint8(REJECTED))
        for target, data in zip(targets, (png_bytes(kept), record['confidence'])):
            if not target.is_file():
                atomic_write_bytes(target, data.tobytes())


def pixel_filters(table: NDArray[np.int64], accepted: NDArray[np.bool_], classes: Sequence[str]) -> FilterTable:
    """Pixels per class: predicted, and above the threshold of their class."""
    filters = FilterTable(classes, 'pixels', table.sum(axis=1))
    filters.add('class threshold', (table * accepted).sum(axis=1))
    return filters
