"""Greedy selection under a budget of minutes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from imbdense.core.selection.feature_selector import FeatureSelector, FeatureTable, Pick
from imbdense.core.selection.lazy_greedy import Objective, lazy_greedy
from imbdense.core.selection.minutes import spendable
from imbdense.core.selection.selection import Choice
from imbdense.core.selection.selector import Selector, Task


@runtime_checkable
class ScoringSelector(Protocol):
    """A selector that says what a row is worth."""

    def objective(self, table: FeatureTable) -> Objective:
        """What its picks maximise, with the labelled rows in it."""


class CostAware(Selector):
    """Spend a budget of minutes: let a selector take rows by gain per minute of their image.

    The budget is in minutes of ``img_cost`` (1 for every image without it). Images that cost more than is left are
    skipped. In the end the total gain is compared with that of the single affordable row of largest gain, and the
    better of both is the choice; without that a cheap image of little worth could keep out a dear one. For gains that
    fall (monotone submodular: :class:`FacilityLocation`, :class:`ProbCover`) the value is at least (1 - 1/e) / 2 of the
    best possible one. An image is paid for once. With costs of 1 the choice is that of the selector itself.

    Args:
        selector: one with an objective, at level 'image' or 'object'.

    Raises:
        TypeError: the selector has no objective (distances to the nearest centre are none).
        ValueError: level 'class_object', whose shares count images.

    Source: Leskovec et al., Cost-effective outbreak detection in networks, KDD 2007.
    """

    card = 'selectors'
    tasks = ('segmentation', 'detection')
    counts_minutes: ClassVar[bool] = True

    def __init__(self, selector: Selector) -> None:
        if not isinstance(selector, FeatureSelector) or not isinstance(selector, ScoringSelector):
            raise TypeError(
                f'CostAware: selector must be one that scores rows (FacilityLocation, ProbCover, ZCore), but is '
                f'{type(selector).__name__}.')
        if selector.level == 'class_object':
            raise ValueError("CostAware: selector must have level='image' or 'object', but has 'class_object'.")
        self._selector = selector

    def options(self) -> dict[str, Any]:
        """The wrapped selector with its own options."""
        return {'selector': {'type': type(self._selector).__name__, **self._selector.options()}}

    @property
    def needs_objects(self) -> bool:
        """As the wrapped selector."""
        return self._selector.needs_objects

    @property
    def basis(self) -> str:
        """As the wrapped selector."""
        return self._selector.basis

    def choose(self, task: Task) -> Sequence[Choice]:
        """See :class:`Selector`."""
        inner, pool = self._selector, task.pool
        rows = inner.row_numbers(pool)
        if not len(rows):
            return []
        table = inner.table(task, rows, task.selected, task.budget)
        objective: Objective = inner.objective(table)
        cost = np.ones(pool.num_images) if pool.img_cost is None else pool.img_cost.astype(np.float64)
        left, total = spendable(task.minutes), 0.0
        free = table.free[cost[table.image[table.free]] <= left]
        if not len(free):
            return []
        gains = objective.gains()[free]
        best = int(free[gains.argmax()])
        chosen: dict[int, Choice] = {}

        def payable(row: int) -> bool:
            return table.image[row] in chosen or cost[table.image[row]] <= left

        for row, gain in lazy_greedy(objective, free, cost[table.image], payable):
            total += gain
            image = int(table.image[row])
            if image not in chosen:
                left -= cost[image]
                chosen[image] = inner.choice(pool, rows, table, Pick(row, gain, 'gain per minute'))
            if len(chosen) == task.budget or left < cost.min():
                break
        if gains.max() > total:
            task.shortfall = 'the one image before them is worth more than all images that gain most per minute'
            return [inner.choice(pool, rows, table, Pick(best, float(gains.max()), 'single best'))]
        return list(chosen.values())
