"""Which images of a data set are labelled: a random draw that leaves no class out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_integer
from imbdense.core.stats import ImageClassTable

TRIES = 10_000


def draw_labelled(table: ImageClassTable, num: int, seed: int) -> NDArray[np.int64]:
    """Draw ``num`` images uniformly among all draws in which every class of the table occurs.

    A plain draw of a tenth of the images often holds no image of the rarest class at all; then nothing can be learned
    of it, with labels or without. Plain draws are repeated until one is complete, so the result is a plain draw given
    that it is complete. Classes that no image holds are not asked for.

    Args:
        table: (I, C) amounts.
        num: 1 ... I.
        seed: equal seeds give equal images.

    Returns:
        (num,) int64 image indices, ascending.

    Raises:
        ValueError: ``num`` is out of range, or none of 10000 draws was complete; the message names the class that was
            missing most often.
    """
    check_integer('num', num, low=1, high=len(table), owner='draw_labelled')
    holds: NDArray[np.bool_] = np.zeros((len(table), table.num_classes), dtype=bool)
    holds[table.entry_images, table.classes] = True
    wanted: NDArray[np.bool_] = np.asarray(holds.any(axis=0))
    missing = np.zeros(table.num_classes, dtype=np.int64)
    rng = np.random.default_rng(seed)
    for _ in range(TRIES):
        images = np.sort(rng.choice(len(table), num, replace=False))
        found: NDArray[np.bool_] = np.asarray(holds[images].any(axis=0))
        if found[wanted].all():
            return images.astype(np.int64)
        missing += wanted & ~found
    raise ValueError(
        f'draw_labelled: no draw of {num} of {len(table)} images holds every class; class {int(missing.argmax())} was '
        f'missing most often ({int(holds[:, missing.argmax()].sum())} images hold it). Raise num.'
    )
