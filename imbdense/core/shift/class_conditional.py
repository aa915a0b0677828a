"""Does a class look different in the pool? The Fréchet distance of each class by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from imbdense.core.shift.frechet import FrechetShift, frechet_shift
from imbdense.core.shift.moments import Floats, Indices
from imbdense.core.shift.pair import prepare_pair

MAX_VECTORS, PER_IMAGE = 20_000, 50
LEAST_VECTORS, LEAST_IMAGES = 100, 20


@dataclass(frozen=True)
class ClassVectors:
    """Feature vectors with a class.

    Attributes:
        vectors: (n, d). label: (n,). group: (n,) image. weight: (n,) how many places each stands for.
    """

    vectors: Floats
    label: Indices
    group: Indices
    weight: Floats


@dataclass(frozen=True)
class ClassShift:
    """One class.

    Attributes:
        shift: its distance. labelled, unlabelled: vectors used. status: 'ok' or 'insufficient' (then all NaN).
    """

    shift: FrechetShift
    labelled: int
    unlabelled: int
    status: str


def class_conditional_shift(
    labelled: ClassVectors, unlabelled: ClassVectors, num_classes: int, *, permutations: int = 199, seed: int = 0
) -> list[ClassShift]:
    """Distance per class between the vectors on both sides that the model takes for it with p >= 0.8.

    A class with fewer than 100 vectors or 20 images on a side is 'insufficient', never a number. At most 50 vectors
    per image and 20 000 per class and side are used (drawn). The model chooses on *both* sides: true labels against
    predicted ones differ also where nothing has shifted, since a model is sure of the easy part of a class. What it
    does not recognise is missing, so a distance near 0 says that the recognised part looks alike, not all of it.

    Args:
        labelled, unlabelled: ``label`` is the predicted class.
    """
    found = []
    for klass in range(num_classes):
        rng = np.random.default_rng((seed, klass))
        keep = [np.flatnonzero(side.label == klass) for side in (labelled, unlabelled)]
        keep = [_drawn(index, side.group, rng) for index, side in zip(keep, (labelled, unlabelled))]
        images = [np.unique(side.group[index]).size for index, side in zip(keep, (labelled, unlabelled))]
        sizes = [index.size for index in keep]
        if min(sizes) < LEAST_VECTORS or min(images) < LEAST_IMAGES:
            reason = f'{sizes[0]} and {sizes[1]} vectors in {images[0]} and {images[1]} images'
            found.append(ClassShift(FrechetShift.unknown(reason), sizes[0], sizes[1], 'insufficient'))
            continue
        pair = prepare_pair(
            labelled.vectors[keep[0]], labelled.group[keep[0]], unlabelled.vectors[keep[1]], unlabelled.group[keep[1]],
            seed=seed,
        )  # fmt: skip
        shift = frechet_shift(pair, permutations=permutations, seed=seed)
        found.append(ClassShift(shift, sizes[0], sizes[1], 'insufficient' if math.isnan(shift.fd_inf) else 'ok'))
    return found


def _drawn(index: Indices, groups: Indices, rng: np.random.Generator) -> Indices:
    """At most 50 per image and 20 000 in all, ascending."""
    order = rng.permutation(index)
    order = order[np.argsort(groups[order], kind='stable')]
    ordered = groups[order]
    place = np.arange(order.size) - np.searchsorted(ordered, ordered)
    return np.sort(rng.permutation(order[place < PER_IMAGE])[:MAX_VECTORS])
