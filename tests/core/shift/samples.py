"""Images with a few vectors each: classes as Gaussians, every image with a shift of its own."""

from __future__ import annotations

import numpy as np

from imbdense.core.shift import ClassOutputs, ClassVectors, PoolSample

PRIOR = (0.55, 0.25, 0.15, 0.05)


def noise(n: int, d: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def grouped(images: int, per_image: int, d: int, seed: int, own: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors whose images differ among each other."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(images, 1, d)) * own + rng.normal(size=(images, per_image, d))
    return vectors.reshape(-1, d), np.repeat(np.arange(images), per_image)


def outputs(
    prior: tuple[float, ...], places: int, images: int, seed: int, *, labelled: bool = True, distance: float = 3.5,
    tilt: np.ndarray | None = None,
) -> tuple[ClassOutputs, np.ndarray]:  # fmt: skip
    """Over-confident outputs of a good model, and the class of each place."""
    rng = np.random.default_rng(seed)
    shares = np.asarray(prior) / np.sum(prior)
    label = rng.choice(len(shares), places, p=shares)
    values = rng.normal(size=(places, len(shares))) + distance * np.eye(len(shares))[label]
    logits = 2.0 * distance * values + (0.0 if tilt is None else tilt)
    known = label if labelled else np.full(places, -1)
    return ClassOutputs(logits.astype(np.float32), known, np.ones(places), rng.integers(0, images, places)), label


def side(
    images: int, seed: int, *, labelled: bool, prior: tuple[float, ...] = PRIOR, move: float = 0.0, gain: float = 1.0,
    moved_class: int | None = None, per_image: int = 50, d: int = 24,
) -> PoolSample:  # fmt: skip
    """One side as the collector makes it, with the Bayes classifier of the labelled side as the model."""
    middle = np.random.default_rng(99).normal(size=(len(prior), d)) * 0.6
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(images), per_image)
    label = rng.choice(len(prior), group.size, p=np.asarray(prior) / np.sum(prior))
    vectors = middle[label] + rng.normal(size=(group.size, d)) + 0.3 * rng.normal(size=(images, d))[group]
    if moved_class is not None:
        vectors[label == moved_class] += 1.0
    vectors = gain * vectors + move
    logits = -((vectors[:, None] - middle) ** 2).sum(axis=2) / 2.18 + np.log(PRIOR)
    chance = np.exp(logits - logits.max(axis=1, keepdims=True))
    sure = (chance / chance.sum(axis=1, keepdims=True)).max(axis=1) >= 0.8
    one = np.ones(group.size)
    by_class = ClassVectors(vectors[sure], logits.argmax(axis=1)[sure], group[sure], one[sure])
    truth = ClassVectors(vectors, label, group, one) if labelled else None
    known = label if labelled else np.full(group.size, -1)
    return PoolSample(vectors, group, by_class, truth, ClassOutputs(logits, known, one, group))
