"""A pool of objects with known classes and modes, as the checks of object-focused selection use it.

1 500 images of 1 + Poisson(3) objects, 20 classes with p_c ~ c^-1.3, six modes per class with p ~ 1 / r. Features
have 32 numbers: class mean (sigma 3) + mode (1.2) + noise (1). The feature of an image is a scene vector + .25 of the
mean of its objects + noise .5. Proposals are the objects themselves, or with errors: a share is missed, a share gets
another class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.core.selection import ObjectPool
from imbdense.core.selection.proposal_quality import LabelledBatch

CLASSES, MODES, DIMENSIONS = 20, 6, 32


@dataclass(frozen=True)
class SyntheticPool:
    """The proposals, and the truth behind them.

    Attributes:
        pool: the proposals.
        image, klass, mode: (T,) of every true object.
        row: (T,) its proposal, -1 = missed.
    """

    pool: ObjectPool
    image: NDArray[np.int64]
    klass: NDArray[np.int64]
    mode: NDArray[np.int64]
    row: NDArray[np.int64]

    def images_with_rare(self, chosen: NDArray[np.int64], rare: int = 5) -> int:
        """Chosen images that show a class, summed over the rarest classes."""
        inside = np.isin(self.image, chosen) & (self.klass >= CLASSES - rare)
        return len(np.unique(self.image[inside] * CLASSES + self.klass[inside]))

    def modes_seen(self, chosen: NDArray[np.int64], rare: int = CLASSES) -> float:
        """Share of the modes of the rarest classes that the chosen images show."""
        inside = np.isin(self.image, chosen) & (self.klass >= CLASSES - rare)
        return len(np.unique(self.klass[inside] * MODES + self.mode[inside])) / (rare * MODES)


def synthetic_pool(seed: int, *, missed: float = 0.0, wrong: float = 0.0, images: int = 1500) -> SyntheticPool:
    """Draw images, objects and proposals; equal seeds give equal objects whatever the errors."""
    rng = np.random.default_rng(seed)
    share = np.arange(1, CLASSES + 1) ** -1.3
    modes = 1.0 / np.arange(1, MODES + 1)
    means = rng.normal(0, 3, (CLASSES, DIMENSIONS))
    offsets = rng.normal(0, 1.2, (CLASSES, MODES, DIMENSIONS))
    image = np.repeat(np.arange(images), 1 + rng.poisson(3, images))
    klass = rng.choice(CLASSES, len(image), p=share / share.sum())
    mode = rng.choice(MODES, len(image), p=modes / modes.sum())
    feature = means[klass] + offsets[klass, mode] + rng.normal(0, 1, (len(image), DIMENSIONS))
    mean = np.zeros((images, DIMENSIONS))
    np.add.at(mean, image, feature)
    mean /= np.bincount(image, minlength=images)[:, None]
    scene = rng.normal(0, 1, (images, DIMENSIONS)) + 0.25 * mean + rng.normal(0, 0.5, (images, DIMENSIONS))
    errors = np.random.default_rng([seed, 1])
    seen = errors.random(len(image)) >= missed
    other = (klass + errors.integers(1, CLASSES, len(image))) % CLASSES
    named = np.where(errors.random(len(image)) < wrong, other, klass)
    corner = errors.uniform(0, 900, (len(image), 2))
    kept = np.flatnonzero(seen)
    row = np.full(len(image), -1)
    row[kept] = np.arange(len(kept))
    box = np.concatenate([corner, corner + 20], axis=1)[kept].astype(np.float32)
    pool = ObjectPool(
        [f'class {c + 1}' for c in range(CLASSES)], [f'{i:04}.png' for i in range(images)], image[kept],
        named[kept].astype(np.int32), np.ones(len(kept), np.float32), box, np.full(len(kept), 400, np.float32),
        feature[kept].astype(np.float32), scene.astype(np.float32))
    return SyntheticPool(pool, image, klass, mode, row)


def labelled_batch(drawn: SyntheticPool, trusted: NDArray[np.int64], images: NDArray[np.int64]) -> LabelledBatch:
    """What people who label ``images`` completely learn about the trusted proposals, by the true objects."""
    behind = np.full(drawn.pool.num_objects, -1)
    behind[drawn.row[drawn.row >= 0]] = np.flatnonzero(drawn.row >= 0)
    rows = trusted[np.isin(drawn.pool.obj_image[trusted], images)]
    true_class = drawn.klass[behind[rows]]
    inside = np.isin(drawn.image, images)
    covered = np.isin(np.arange(len(drawn.image)), behind[rows])
    right = true_class == drawn.pool.obj_class[rows]

    def per_class(values: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(values, minlength=CLASSES)

    return LabelledBatch(
        np.asarray(images, np.int64), rows, true_class, per_class(true_class[right]),
        per_class(drawn.klass[inside & ~covered]), per_class(drawn.klass[inside]))
