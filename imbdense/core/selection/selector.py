"""The contract of every selector, kept in one place."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbdense.core.checks import check_integer
from imbdense.core.selection.object_pool import ObjectPool
from imbdense.core.selection.selection import Choice, Selection


@dataclass
class Task:
    """What a selector is asked for: the pool, how many new images, and what is labelled already.

    Attributes:
        budget: new images wanted, 1 ... number of images that are not selected yet; or minutes, see ``costs``.
        selected: (M,) bool, images that are labelled already.
        rng: the selector's own generator.
        seed: the seed behind it.
        costs: (M,) what each image takes of the budget; ``None`` = 1 each.
        notes, report: the selector adds to them.
    """

    pool: ObjectPool
    budget: int
    selected: NDArray[np.bool_]
    rng: np.random.Generator
    seed: int
    costs: NDArray[np.float64] | None = None
    notes: list[str] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)


class Selector(abc.ABC):
    """Choose images to label out of a pool.

    ``selector(pool, budget, selected=None, seed=0)`` gives a :class:`Selection` that

    * is equal for equal arguments (its own generator, never the global one);
    * holds no image twice and none of ``selected``;
    * has exactly ``min(budget, images not yet selected)`` images; where a method runs out of objects, random images
      follow (rule 'fill', told in ``notes``), also for a pool without any object. A selector whose budget is minutes
      (:meth:`image_costs`) chooses until no image is affordable;
    * breaks ties by the lowest pool index;
    * takes what is labelled already into account.

    Subclasses write :meth:`choose`. State: none; memory and time are told by each selector.

    Raises:
        ValueError: a negative budget; ``selected`` names an image that the pool does not have.
    """

    prefix: ClassVar[bool] = False
    """Whether a larger budget only appends to the choice of a smaller one."""

    def __call__(
        self, pool: ObjectPool, budget: int, selected: ArrayLike | None = None, seed: int = 0
    ) -> Selection:
        """Choose up to ``budget`` images; ``selected`` holds pool indices of labelled images."""
        name = type(self).__name__
        check_integer('budget', budget, low=0, owner=name)
        taken = _taken(pool, selected, name)
        costs, free = self.image_costs(pool), int((~taken).sum())
        task = Task(pool, min(budget, free) if costs is None else budget, taken, np.random.default_rng(seed), seed,
                    costs)
        choices: list[Choice] = []
        if task.budget and free:
            if pool.usable_rows.size or not self.needs_objects:
                choices = list(self.choose(task))
            _check(choices, task, name)
            choices += _fill(choices, task)
        images = [choice.image for choice in choices]
        minutes = pool.img_cost if costs is None else costs
        cost = float(len(images)) if minutes is None else float(minutes[images].sum())
        return Selection(
            choices, [pool.image_ids[i] for i in images], cost, seed, {'type': name, **self.options()},
            pool.fingerprint, task.report, task.notes)

    @property
    def needs_objects(self) -> bool:
        """Whether the selector can do nothing for a pool without usable objects."""
        return True

    @abc.abstractmethod
    def choose(self, task: Task) -> Sequence[Choice]:
        """At most ``task.budget`` choices, in order, none selected already, no image twice."""

    def image_costs(self, pool: ObjectPool) -> NDArray[np.float64] | None:
        """(M,) what each image takes of the budget; ``None`` = 1 each: the budget is a number of images."""
        return None

    def options(self) -> dict[str, Any]:
        """The constructor's arguments, JSON-ready, for the record."""
        return {key: value for key, value in vars(self).items() if not key.startswith('_')}


def _taken(pool: ObjectPool, selected: ArrayLike | None, owner: str) -> NDArray[np.bool_]:
    """(M,) bool mask of the labelled images."""
    taken = np.zeros(pool.num_images, dtype=bool)
    given = np.asarray([] if selected is None else selected)
    if given.size and not np.issubdtype(given.dtype, np.integer):
        raise ValueError(f'{owner}: selected must hold indices of the pool, not {given.dtype} (np.flatnonzero(mask)).')
    indices = given.astype(np.int64)
    if indices.size and (indices.min() < 0 or indices.max() >= pool.num_images):
        raise ValueError(
            f'{owner}: selected must hold indices of the pool, in [0, {pool.num_images}), but holds '
            f'{int(indices.min())} ... {int(indices.max())}.'
        )
    taken[indices] = True
    return taken


def _check(choices: Sequence[Choice], task: Task, owner: str) -> None:
    """A selector that breaks the contract is a bug; say so instead of handing on a wrong list."""
    images = [choice.image for choice in choices]
    spent = len(images) if task.costs is None else float(task.costs[images].sum())
    if spent > task.budget * (1 + 1e-6) or len(set(images)) != len(images) or task.selected[images].any():
        raise RuntimeError(f'{owner} chose too many images, an image twice, or a labelled one; please report this.')


def _fill(choices: Sequence[Choice], task: Task) -> list[Choice]:
    """Random images up to the budget."""
    free = ~task.selected
    free[[choice.image for choice in choices]] = False
    costs = np.ones(len(free)) if task.costs is None else task.costs
    left = task.budget - float(costs[[choice.image for choice in choices]].sum())
    drawn = []
    for image in task.rng.permutation(np.flatnonzero(free)) if left >= costs.min() else ():
        if costs[image] <= left:
            drawn.append(Choice(int(image), rule='fill'))
            left -= costs[image]
    if drawn:
        task.notes.append(f'{len(drawn)} images are random: the pool has no further objects to choose by.')
    return drawn
