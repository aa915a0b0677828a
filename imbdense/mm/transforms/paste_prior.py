"""What class distribution do pastes leave? Estimated by pasting into annotations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.compositing import Canvas, Cutout, scatter

IMAGES, PASTES = 200, 800
"""Most images whose annotations are read, and pastes of all: some seconds, some percent of error."""

Draw = Callable[[np.random.Generator], list[Cutout]]


def expected_paste_amounts(context: Any, draw: Draw, ignore_index: int) -> NDArray[np.float64]:
    """Return (C,) expected amounts per class and epoch when objects are pasted into every drawn image.

    E_c = given_c + images * mean change of c, over up to 200 images drawn as the sampler draws: pixels of a label map
    lose what is covered, objects are only added (none may be covered by more than half). Annotations are those the
    paste's predecessors hand on.

    Args:
        context: an ``imbdense.mm.prior.PriorContext`` (table, draws, seed).
        draw: the objects for one image.
        ignore_index: of label maps.
    """
    draws = np.asarray(context.draws, np.float64)
    rng = np.random.default_rng(np.random.SeedSequence([int(context.seed), 0xBA2C]))
    images = rng.choice(len(draws), size=min(IMAGES, len(draws)), p=draws / draws.sum())
    repeats = -(-PASTES // len(images))
    change = np.zeros(context.table.num_classes)
    for image in images.tolist():
        paste = _object_paste(context, image) or _label_paste(context, image, ignore_index)
        for _ in range(repeats):
            change += paste(draw(rng), rng)
    given = context.table.expected_totals(draws)
    return np.maximum(given + draws.sum() * change / (repeats * len(images)), 0)


Paste = Callable[[list[Cutout], np.random.Generator], NDArray[np.float64]]


def _object_paste(context: Any, image: int) -> Paste | None:
    """Change of the objects per class by one paste; ``None`` for a segmentation data set."""
    try:
        objects = context.load_objects(image)
    except TypeError:
        return None

    def change(cutouts: list[Cutout], rng: np.random.Generator) -> NDArray[np.float64]:
        canvas = Canvas(np.zeros((*objects.shape, 0), np.uint8), objects.boxes)
        scatter(canvas, cutouts, rng)
        added = np.array([item.klass for item in canvas.pasted], np.int64)
        return np.bincount(added, minlength=context.table.num_classes).astype(np.float64)

    return change


def _label_paste(context: Any, image: int, ignore_index: int) -> Paste:
    """Change of the pixels per class by one paste."""
    label = context.load_label(image)

    def change(cutouts: list[Cutout], rng: np.random.Generator) -> NDArray[np.float64]:
        pasted = label.copy()
        scatter(Canvas(np.zeros((*label.shape, 0), np.uint8), label=pasted, ignore_index=ignore_index), cutouts, rng)
        touched = pasted != label
        size = context.table.num_classes
        return _per_class(pasted[touched], size) - _per_class(label[touched], size)

    return change


def _per_class(values: NDArray[np.integer], size: int) -> NDArray[np.float64]:
    """(C,) how often each class is there; other values count nothing."""
    return np.bincount(values[(values >= 0) & (values < size)], minlength=size).astype(np.float64)
