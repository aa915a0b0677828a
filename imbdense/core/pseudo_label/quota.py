"""How many objects of every class are pasted in each round of self-training, and which.

Chen et al.: Revisiting Domain-Adaptive 3D Object Detection by Reliable, Diverse and Class-balanced Pseudo-Labeling.
ICCV 2023.
"""

from __future__ import annotations

import itertools
import warnings
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbdense.core.checks import check_integer


@dataclass(frozen=True)
class ProgressiveQuota:
    """Objects per class and image: labelled ones fewer, pseudo-labelled ones more from round to round::

        k_source(r) = max(0, k0_src - r * reduce)        k_target(r) = k0_tgt + r * grow

    A pure function of the round, so a resumed run goes on right and every rank knows the same numbers. Every class
    gets the same k: rare classes come more often than in nature, which is what balances them.

    Args:
        k0_src, reduce: labelled objects in round 0, and how many fewer in each further round; >= 0.
        k0_tgt, grow: pseudo-labelled objects in round 0, and how many more in each further round; >= 0.

    Example: ``ProgressiveQuota(10, 2, 5, 2)`` in rounds 0 to 3: source 10, 8, 6, 4; target 5, 7, 9, 11.

    Raises:
        TypeError, ValueError: no integer, or negative.
    """

    k0_src: int
    reduce: int
    k0_tgt: int
    grow: int

    def __post_init__(self) -> None:
        for name in ('k0_src', 'reduce', 'k0_tgt', 'grow'):
            check_integer(name, getattr(self, name), low=0, owner='ProgressiveQuota')

    def source(self, round_index: int) -> int:
        """k of labelled objects in round ``round_index`` >= 0."""
        return max(0, self.k0_src - check_integer('round_index', round_index, low=0) * self.reduce)

    def target(self, round_index: int) -> int:
        """k of pseudo-labelled objects in round ``round_index`` >= 0."""
        return self.k0_tgt + check_integer('round_index', round_index, low=0) * self.grow


def round_of_epoch(epoch: int, rounds: Sequence[int]) -> int:
    """Return the round that ``epoch`` (from 0) belongs to; -1 before the first one.

    Args:
        rounds: the first epoch of each round, rising; published: (0, 30, 60, 90) of 120 epochs.

    Example: with (0, 30, 60, 90) epoch 29 is in round 0, epoch 30 in round 1.

    Raises:
        ValueError: ``rounds`` is empty, does not rise or is negative.
    """
    starts = [check_integer('rounds', start, low=0) for start in rounds]
    if not starts or any(later <= earlier for earlier, later in itertools.pairwise(starts)):
        raise ValueError(f'rounds must be rising epochs, such as [0, 30, 60, 90], but got {list(rounds)}.')
    return bisect_right(starts, check_integer('epoch', epoch, low=0)) - 1


class EqualDraw:
    """Draws equally many objects of every class from a pool, anew for every image.

    Uniformly and with replacement, from a generator that depends on (seed, epoch, rank, index) and on nothing else: a
    resumed run draws what the uninterrupted one does. A class without an object is left out; its share does not go to
    the others, who would otherwise come more often for it. Each such class is warned of once by each process.

    Args:
        seed: >= 0. Two pools (labelled and pseudo-labelled) need two seeds, or their draws go hand in hand.
        rank: >= 0, which process draws.
    """

    def __init__(self, seed: int, rank: int = 0) -> None:
        self.seed = check_integer('seed', seed, low=0, owner='EqualDraw')
        self.rank = check_integer('rank', rank, low=0, owner='EqualDraw')
        self._warned: set[int] = set()

    def __call__(
        self, pool_sizes: ArrayLike, per_class: int, *, epoch: int, index: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (classes, objects), both (k * classes with objects,) int64, in the order of the classes.

        Args:
            pool_sizes: (C,) objects of each class in the pool, whole numbers >= 0.
            per_class: k >= 0 of :class:`ProgressiveQuota`.
            epoch, index: >= 0; ``index`` tells the images of an epoch apart.

        Raises:
            TypeError, ValueError: a size or number that is negative or not whole.
        """
        sizes = np.asarray(pool_sizes)
        if sizes.ndim != 1 or not np.array_equal(sizes, sizes.astype(np.int64)) or sizes.min(initial=0) < 0:
            raise ValueError(f'EqualDraw: pool_sizes must hold one whole number >= 0 per class, but got {sizes}.')
        check_integer('per_class', per_class, low=0, owner='EqualDraw')
        self._warn_once(np.flatnonzero(sizes == 0))
        classes = np.flatnonzero(sizes)
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, epoch, self.rank, index])))
        objects = rng.integers(0, sizes[classes].astype(np.int64)[:, None], size=(classes.size, per_class))
        return np.repeat(classes.astype(np.int64), per_class), objects.ravel()

    def _warn_once(self, empty: NDArray[np.int64]) -> None:
        """Name the classes that can not be pasted."""
        for label in sorted(set(empty.tolist()) - self._warned):
            self._warned.add(label)
            warnings.warn(
                f'class {label} has no object in the pool: none of it is pasted, and the others get no more for it.',
                stacklevel=3,
            )
