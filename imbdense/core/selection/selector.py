"""The contract of every selector, kept in one place."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbdense.core.checks import check_integer, check_number
from imbdense.core.selection.minutes import spendable
from imbdense.core.selection.object_pool import ObjectPool
from imbdense.core.selection.selection import Choice, Selection


@dataclass
class Task:
    """What a selector is asked for: the pool, how many new images, and what is labelled already.

    Attributes:
        budget: new images wanted, 1 ... number of images that are not selected yet.
        selected: (M,) bool, images that are labelled already.
        rng: the selector's own generator.
        seed: the seed behind it.
        minutes: what the new images may cost together; infinite where the budget counts images.
        notes, report: the selector adds to them.
        shortfall: why the method ended before the budget, where a selector knows more than :attr:`Selector.basis`.
    """

    pool: ObjectPool
    budget: int
    selected: NDArray[np.bool_]
    rng: np.random.Generator
    seed: int
    minutes: float = math.inf
    notes: list[str] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)
    shortfall: str = ''


class Selector(abc.ABC):
    """Choose images to label out of a pool.

    ``selector(pool, budget, selected=None, seed=0)`` gives a :class:`Selection` that

    * is equal for equal arguments (its own generator, never the global one);
    * holds no image twice and none of ``selected``;
    * has exactly ``min(budget, images not yet selected)`` images (with :attr:`counts_minutes`: what the minutes pay
      for); where a method runs out of objects, random images follow (rule 'fill'; ``notes`` say how many and why), also
      for a pool without any object;
    * breaks ties by the lowest pool index;
    * takes what is labelled already into account.

    Subclasses write :meth:`choose`. State: none; memory and time are told by each selector.

    Raises:
        ValueError: a negative budget or seed; ``selected`` names an image that the pool does not have.
    """

    counts_minutes: ClassVar[bool] = False
    """Whether the budget is in minutes (:meth:`image_costs`) and not a number of images."""

    def __call__(
        self, pool: ObjectPool, budget: float, selected: ArrayLike | None = None, seed: int = 0
    ) -> Selection:
        """Choose up to ``budget`` images; ``selected`` holds pool indices of labelled images."""
        name = type(self).__name__
        taken = _taken(pool, selected, name)
        check_integer('seed', seed, low=0, owner=name)
        task = self._task(pool, budget, taken, seed)
        choices: list[Choice] = []
        if task.budget:
            if pool.usable_rows.size or not self.needs_objects:
                choices = list(self.choose(task))
            else:
                task.shortfall = 'the pool holds no object' if not pool.num_objects else (
                    f'none of the {pool.num_objects} objects has a usable feature (finite, not all zero)')
            costs = self.image_costs(pool)
            _check(choices, task, costs, name)
            choices += _fill(choices, task, costs, self.basis)
        images = [choice.image for choice in choices]
        cost = float(self.image_costs(pool)[images].sum())
        return Selection(
            choices, [pool.image_ids[i] for i in images], cost, seed, {'type': name, **self.options()},
            pool.fingerprint, task.report, task.notes)

    def _task(self, pool: ObjectPool, budget: float, taken: NDArray[np.bool_], seed: int) -> Task:
        """Check the budget and say what is asked for."""
        free, rng, owner = int((~taken).sum()), np.random.default_rng(seed), type(self).__name__
        if self.counts_minutes:
            minutes = check_number('budget', budget, low=0.0, owner=owner)
            task = Task(pool, free if minutes > 0 else 0, taken, rng, seed, minutes)
            cheapest = self.image_costs(pool)[~taken].min(initial=math.inf)
            if task.budget and cheapest > spendable(minutes):
                task.notes.append(f'{minutes:g} minutes pay for no image: the cheapest takes {cheapest:g}.')
            return task
        wanted = check_integer('budget', budget, low=0, owner=owner)
        task = Task(pool, min(wanted, free), taken, rng, seed)
        if wanted > free:
            task.notes.append(f'{wanted} images are wanted, but only {free} of {pool.num_images} are not labelled yet.')
        return task

    def image_costs(self, pool: ObjectPool) -> NDArray[np.float64]:
        """(M,) minutes of each image, 1 where the pool does not say."""
        return np.ones(pool.num_images) if pool.img_cost is None else pool.img_cost.astype(np.float64)

    @property
    def prefix(self) -> bool:
        """Whether a larger budget only appends to the choice of a smaller one."""
        return False

    @property
    def needs_objects(self) -> bool:
        """Whether the selector can do nothing for a pool without usable objects."""
        return True

    @property
    def basis(self) -> str:
        """What an image must have for the method to choose it, in words: for the note where no other image has it."""
        return 'a usable object'

    @abc.abstractmethod
    def choose(self, task: Task) -> Sequence[Choice]:
        """At most ``task.budget`` choices, in order, none selected already, no image twice."""

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


def _check(choices: Sequence[Choice], task: Task, costs: NDArray[np.float64], owner: str) -> None:
    """A selector that breaks the contract is a bug; say so instead of handing on a wrong list."""
    images = [choice.image for choice in choices]
    if len(images) > task.budget or len(set(images)) != len(images) or task.selected[images].any():
        raise RuntimeError(f'{owner} chose too many images, an image twice, or a labelled one; please report this.')
    if costs[images].sum() > spendable(task.minutes):
        raise RuntimeError(f'{owner} chose images beyond the budget of {task.minutes} minutes; please report this.')


def _fill(choices: Sequence[Choice], task: Task, costs: NDArray[np.float64], basis: str) -> list[Choice]:
    """Random images up to the budget; a larger budget appends to the same order."""
    images = [choice.image for choice in choices]
    free = ~task.selected
    free[images] = False
    order = task.rng.permutation(np.flatnonzero(free))[: task.budget - len(choices)]
    if math.isfinite(task.minutes):
        order = _affordable(order, costs, spendable(task.minutes) - float(costs[images].sum()))
    if len(order):
        payable = ' that the minutes left pay for' if math.isfinite(task.minutes) else ''
        why = task.shortfall or f'no other image{payable} has {basis}'
        task.notes.append(f'{len(order)} of {len(order) + len(choices)} images are random: {why}.')
    return [Choice(int(image), rule='fill') for image in order]


def _affordable(order: NDArray[np.int64], cost: NDArray[np.float64], minutes: float) -> NDArray[np.int64]:
    """The images of ``order`` that can be paid for one after the other, skipping those that cannot."""
    kept = []
    for image in order:
        if cost[image] <= minutes:
            kept.append(image)
            minutes -= cost[image]
    return np.array(kept, dtype=np.int64)
