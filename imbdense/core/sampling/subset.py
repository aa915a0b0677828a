"""Subsets of a data set with a chosen imbalance, or with none, for controlled studies.

Buda, Maki, Mazurowski: A systematic study of the class imbalance problem in convolutional neural networks. Neural
Networks 106, 2018 (step and linear imbalance). Cui et al., Class-Balanced Loss, CVPR 2019 (exponential). There an image
has one class; here images hold several, so the wanted counts are approached by removing or adding whole images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.stats import ImageClassTable, imbalance_ratio

ImbalanceKind = Literal['step', 'linear', 'exp']
Amounts = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Subset:
    """Chosen images and what they hold.

    Attributes:
        images: (M,) int64 indices of the kept images, ascending.
        counts: (C,) amount of each class in them.
        targets: (C,) amounts that were aimed at; infinite for a class without a target.
    """

    images: Indices
    counts: NDArray[np.int64]
    targets: Amounts

    def describe(self, names: Sequence[str]) -> str:
        """Images, achieved ratio, and achieved / wanted amount of each class."""
        parts = [
            f'{name} {count}/{target:.0f}' if np.isfinite(target) else f'{name} {count}'
            for name, count, target in zip(names, self.counts, self.targets)
        ]
        ratio = imbalance_ratio(self.counts) if self.counts.any() else 1.0
        return f'{self.images.size} images, largest / smallest class {ratio:.4g}; achieved / wanted: {", ".join(parts)}'


def imbalance_profile(kind: ImbalanceKind, num_classes: int, rho: float, mu: float = 0.5) -> Amounts:
    """Return (K,) wanted amounts relative to the largest class, from the most to the least frequent class.

    * ``'step'``: the last round(mu * K) classes have 1 / rho, the others 1;
    * ``'linear'``: 1, ..., 1 / rho in equal steps;
    * ``'exp'``: rho ** (-k / (K - 1)).

    Example: K = 4, rho = 10: step (1, 1, .1, .1), linear (1, .7, .4, .1).

    Args:
        kind: see above.
        num_classes: K >= 1.
        rho: largest / smallest amount, >= 1.
        mu: share of minority classes of 'step', in [0, 1].
    """
    check_choice('kind', kind, get_args(ImbalanceKind))
    check_integer('num_classes', num_classes, low=1)
    rho = check_number('rho', rho, low=1.0)
    rank = np.arange(num_classes) / max(num_classes - 1, 1)
    if kind == 'step':
        minority = round(check_number('mu', mu, low=0.0, high=1.0) * num_classes)
        return np.where(np.arange(num_classes) < num_classes - minority, 1.0, 1.0 / rho)
    return 1.0 - rank * (1.0 - 1.0 / rho) if kind == 'linear' else rho**-rank


def imbalanced_subset(
    table: ImageClassTable,
    kind: ImbalanceKind,
    rho: float,
    mu: float = 0.5,
    *,
    n_max: float | None = None,
    order: Sequence[int] | None = None,
    tol: float = 0.05,
    seed: int = 0,
) -> Subset:
    """Remove images until no class has more than its wanted amount times (1 + tol).

    Each pass takes the class that is furthest above its target and removes those of its images that cost classes at
    or below their target least. The last image of a class is never removed, so a target may stay out of reach where
    classes share images; :attr:`Subset.counts` tells what was reached. A pure function of its arguments.

    Args:
        table: amounts (pixels or objects) per image and class.
        kind, rho, mu: see :func:`imbalance_profile`.
        n_max: wanted amount of the most frequent class; ``None`` = the largest for which no class has too little.
        order: class indices from the one that shall be most frequent to the rarest; ``None`` = as they are. Classes
            that are not named have no target (a background that is in every image must not be named).
        tol: tolerance >= 0.
        seed: decides between images that are equally good to remove.

    Raises:
        ValueError: an argument out of range, a class named twice, or a named class without an image.
    """
    totals = table.totals.astype(np.float64)
    ranked = _ranked(totals, order)
    profile = imbalance_profile(kind, ranked.size, rho, mu)
    largest = float((totals[ranked] / profile).min()) if n_max is None else check_number('n_max', n_max, low=1.0)
    targets = np.full(table.num_classes, np.inf)
    targets[ranked] = largest * profile
    kept = _remove(table, targets * (1.0 + check_number('tol', tol, low=0.0)), targets, np.random.default_rng(seed))
    return _subset(table, np.flatnonzero(kept), targets)


def balanced_subset(
    table: ImageClassTable, num_images: int, *, classes: Sequence[int] | None = None, seed: int = 0
) -> Subset:
    """Choose ``num_images`` images whose class amounts are as equal as possible.

    Greedy: each step looks at the class that has least so far and adds that one of its images which brings most of it
    in proportion to what it brings of classes that have more. A class whose images are used up is left behind. What is
    missing when all classes are (images without any class) is drawn at random. A pure function of its arguments.

    Args:
        table: amounts (pixels or objects) per image and class.
        num_images: M in [1, images of the data set]; for a fair comparison the size of the imbalanced set.
        classes: the classes to be balanced; ``None`` = all that occur.
        seed: decides between equally good images.

    Raises:
        ValueError: ``num_images`` out of range, or a class that is unknown, named twice or without an image.
    """
    check_integer('num_images', num_images, low=1, high=len(table))
    ranked = _ranked(table.totals.astype(np.float64), classes)
    chosen = np.zeros(len(table), dtype=bool)
    gathered = np.zeros(table.num_classes)
    active = np.zeros(table.num_classes, dtype=bool)
    active[ranked] = True
    rng = np.random.default_rng(seed)
    noise = rng.random(len(table))
    while active.any() and chosen.sum() < num_images:
        klass = int(np.argmin(np.where(active, gathered, np.inf)))
        candidates = table.images_of(klass)
        free = ~chosen[candidates]
        candidates = candidates[free]
        if candidates.size == 0:
            active[klass] = False
            continue
        surplus = np.where(active, (gathered + 1.0) / (gathered[klass] + 1.0), 0.0)
        cost = _weighted(table, candidates, surplus) / table.amounts_in_images_of(klass)[free]
        equal = candidates[cost == cost.min()]
        best = int(equal[np.argmin(noise[equal])])
        chosen[best] = True
        gathered[table.classes_of(best)] += table.amounts_of(best)
    rest = rng.permutation(np.flatnonzero(~chosen))[: num_images - int(chosen.sum())]
    chosen[rest] = True
    images = np.flatnonzero(chosen)
    targets = np.full(table.num_classes, np.inf)
    targets[ranked] = table.subset(images).totals[ranked].mean()
    return _subset(table, images, targets)


def _ranked(totals: Amounts, order: Sequence[int] | None) -> Indices:
    """Class indices, most frequent first: as given and checked, or those that occur."""
    if order is None:
        ranked = np.argsort(-totals, kind='stable')
        return ranked[totals[ranked] > 0]
    ranked = np.asarray(order, dtype=np.int64)
    wrong = [c for c in ranked.tolist() if not 0 <= c < totals.size or totals[c] == 0]
    if ranked.ndim != 1 or ranked.size == 0 or np.unique(ranked).size != ranked.size or wrong:
        raise ValueError(
            f'the classes must be different indices below {totals.size} that occur in the data set, but got '
            f'{list(order)}{f" (without an image: {wrong})" if wrong else ""}.'
        )
    return ranked


def _remove(table: ImageClassTable, limits: Amounts, targets: Amounts, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(I,) which images stay; see :func:`imbalanced_subset`."""
    kept = np.ones(len(table), dtype=bool)
    counts, images = table.totals.astype(np.float64), table.image_counts.copy()
    noise = rng.random(len(table))
    open_classes = np.isfinite(limits)
    while True:
        over = np.where(open_classes, counts / limits, 0.0)
        klass = int(np.argmax(over))
        if over[klass] <= 1.0:
            return kept
        candidates = table.images_of(klass)
        candidates = candidates[kept[candidates]]
        candidates = candidates[_weighted(table, candidates, images == 1) == 0]
        if candidates.size == 0:  # each of its images is the last one of some class
            open_classes[klass] = False
            continue
        needed = np.where(counts <= targets, 1.0 / np.maximum(counts, 1.0), 0.0) * np.isfinite(targets)
        harm = _weighted(table, candidates, needed) / _weighted(table, candidates, np.arange(counts.size) == klass)
        ranking = candidates[np.lexsort((noise[candidates], harm))]
        # A few per pass, not all: what an image costs changes with every one that goes.
        for image in ranking[: max(1, ranking.size // 20)].tolist():
            present = table.classes_of(image)
            if (images[present] == 1).any():
                continue
            kept[image] = False
            counts[present] -= table.amounts_of(image)
            images[present] -= 1
            if counts[klass] <= limits[klass]:
                break


def _weighted(table: ImageClassTable, images: Indices, weights: NDArray[Any]) -> Amounts:
    """(M,) sum over the classes of each image of amount * weight."""
    rows = table.subset(images)
    sums = np.bincount(rows.entry_images, rows.amounts * weights[rows.classes], minlength=images.size)
    return sums.astype(np.float64)


def _subset(table: ImageClassTable, images: Indices, targets: Amounts) -> Subset:
    """The record of a choice."""
    return Subset(images, table.subset(images).totals, targets)
