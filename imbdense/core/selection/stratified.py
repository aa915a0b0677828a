"""Random images with an equal share for every class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imbdense.core.selection.object_pool import UNKNOWN_CLASS, ObjectPool
from imbdense.core.selection.selection import Choice
from imbdense.core.selection.selector import Selector, Task


class StratifiedSelector(Selector):
    """Give every class an equal share of images, rarest class first.

    Repeatedly, the class that is on the fewest images so far (labelled ones and chosen ones, each counted for all the
    classes on it; ties: on the fewest images of the pool, then the lowest class) gets one more random image that shows
    it. A class without further images is done. Needs classes, not features. O(N log N + B C).
    """

    card = 'selectors'
    tasks = ('segmentation', 'detection')

    @property
    def prefix(self) -> bool:
        """One order for all budgets."""
        return True

    @property
    def basis(self) -> str:
        """A class."""
        return 'a usable object of a known class'

    def choose(self, task: Task) -> Sequence[Choice]:
        """See :class:`Selector`."""
        image, klass = _memberships(task.pool)
        rank = np.empty(task.pool.num_images, dtype=np.int64)
        rank[task.rng.permutation(task.pool.num_images)] = np.arange(task.pool.num_images)
        classes = len(task.pool.classes)
        by_class = np.lexsort((rank[image], klass))
        on_images = np.bincount(klass, minlength=classes)
        ends = np.cumsum(on_images)
        queue = [list(reversed(image[by_class[end - count : end]])) for end, count in zip(ends, on_images)]
        shown = np.bincount(klass[task.selected[image]], minlength=classes)
        taken = task.selected.copy()
        choices: list[Choice] = []
        open_classes = [int(c) for c in np.lexsort((np.arange(classes), on_images)) if on_images[c]]
        while open_classes and len(choices) < task.budget:
            poorest = min(open_classes, key=lambda c: shown[c])  # the first of equals is the rarest
            while queue[poorest] and taken[queue[poorest][-1]]:
                queue[poorest].pop()
            if not queue[poorest]:
                open_classes.remove(poorest)
                continue
            new = int(queue[poorest].pop())
            choices.append(Choice(new, float(1 / (1 + shown[poorest])), 'share', klass=poorest))
            taken[new] = True
            shown[klass[slice(*np.searchsorted(image, [new, new + 1]))]] += 1
        return choices


def _memberships(pool: ObjectPool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(image, class) of which class is on which image, each once, sorted by image."""
    rows = pool.usable_rows
    rows = rows[pool.obj_class[rows] != UNKNOWN_CLASS]
    keys = np.unique(pool.obj_image[rows] * max(1, len(pool.classes)) + pool.obj_class[rows])
    return np.divmod(keys, max(1, len(pool.classes)))
