"""Random images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from imbdense.core.selection.selection import Choice
from imbdense.core.selection.selector import Selector, Task


class RandomSelector(Selector):
    """Choose images at random, each as likely: the baseline of every selector. O(M)."""

    card = 'selectors'
    tasks = ('segmentation', 'detection')

    @property
    def prefix(self) -> bool:
        """One order for all budgets."""
        return True

    @property
    def needs_objects(self) -> bool:
        """Images are enough."""
        return False

    def choose(self, task: Task) -> Sequence[Choice]:
        """See :class:`Selector`."""
        order = task.rng.permutation(np.flatnonzero(~task.selected))
        return [Choice(int(image), rule='random') for image in order[: task.budget]]
