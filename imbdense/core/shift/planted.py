"""Shifts of known kind and strength, planted into labelled features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.core.shift.frechet import frechet_distance, permuted_distances
from imbdense.core.shift.moments import Floats, Indices
from imbdense.core.shift.pair import prepare_pair
from imbdense.core.shift.probe import SURE, Discriminant

KINDS = ('none', 'prior', 'class', 'move', 'scale')
MAX_RATIO = 20.0
STRENGTHS = (0.25, 0.5, 1.0, 2.0)
AXES, PERMUTATIONS, LEAST = 8, 9, 8


@dataclass(frozen=True)
class Planted:
    """Vectors (n, d) with class (-1 = unknown), image index and weight."""

    vectors: Floats
    label: Indices
    group: Indices
    weight: Floats

    def take(self, keep: NDArray[np.bool_]) -> Planted:
        """The rows of a mask."""
        return Planted(self.vectors[keep], self.label[keep], self.group[keep], self.weight[keep])


def plant(data: Planted, num_classes: int, rng: np.random.Generator) -> tuple[Planted, Floats]:
    """(shifted copy, (K,) prior ratio against before; 0 for a class that is not there).

    One of, with equal chance: nothing; one class up to 20 times rarer or more frequent; one class moved by 0.25 to 2
    standard deviations along a random direction; everything moved; everything rescaled about its mean.
    """
    kind = KINDS[int(rng.integers(len(KINDS)))]
    strength = float(rng.choice(STRENGTHS))
    direction = rng.normal(size=data.vectors.shape[1])
    direction *= strength * data.vectors.std() * np.sqrt(direction.size) / np.linalg.norm(direction)
    klass = int(rng.choice(np.unique(data.label)))
    mine = data.label == klass
    vectors, weight = data.vectors, data.weight
    if kind == 'prior':
        weight = np.where(mine, weight * np.exp(rng.uniform(-1.0, 1.0) * np.log(MAX_RATIO)), weight)
        weight = weight * data.weight.sum() / weight.sum()
    elif kind == 'class':
        vectors = vectors + mine[:, None] * direction
    elif kind == 'move':
        vectors = vectors + direction
    elif kind == 'scale':
        middle = vectors.mean(axis=0)
        vectors = middle + (vectors - middle) * np.exp(strength * rng.choice((-0.5, 0.5)))
    before, after = (np.bincount(data.label, w, minlength=num_classes) for w in (data.weight, weight))
    ratio = np.where(before > 0, after / np.where(before > 0, before, 1.0), 0.0)
    return Planted(vectors, data.label, data.group, weight), ratio


def images_per_class(data: Planted, num_classes: int) -> Floats:
    """(K,) images that hold the class."""
    pairs = np.unique(data.group * num_classes + data.label)
    return np.bincount(pairs % num_classes, minlength=num_classes).astype(np.float64)


def excess_per_class(
    train: Planted, pool: Planted, model: Discriminant, num_classes: int, rng: np.random.Generator
) -> Floats:
    """(K,) Fréchet distance above its permutation mean between the vectors of both sides that ``model`` is sure of.

    NaN for a class with fewer than 8 images or 32 vectors on a side.
    """
    own, guess = (_sure(model.chances(side.vectors)) for side in (train, pool))
    found = np.full(num_classes, np.nan)
    for klass in range(num_classes):
        a, b = own == klass, guess == klass
        groups = min(np.unique(train.group[a]).size, np.unique(pool.group[b]).size)
        if groups < LEAST or min(a.sum(), b.sum()) < 4 * LEAST:
            continue
        draw = int(rng.integers(2**31))
        pair = prepare_pair(
            train.vectors[a], train.group[a], pool.vectors[b], pool.group[b], max_dim=AXES, seed=draw
        )
        if not pair.reason:
            found[klass] = frechet_distance(pair.a, pair.b).value - permuted_distances(pair, PERMUTATIONS, rng).mean()
    return found


def _sure(chances: Floats) -> Indices:
    """(n,) class with p >= 0.8, else -1."""
    return np.where(chances.max(axis=1) >= SURE, chances.argmax(axis=1), -1)
