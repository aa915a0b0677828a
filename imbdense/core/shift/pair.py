"""Two sets of feature vectors made comparable: equal sizes, standardised, on their common principal axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.core.shift.moments import Floats, Indices, group_index

MAX_DIM = 64
VECTORS_PER_DIM, GROUPS_PER_DIM = 20, 4


@dataclass(frozen=True)
class VectorPair:
    """Labelled (a) and unlabelled (b) vectors with the image (group) each comes from.

    Attributes:
        a, b: (n, d') float64. groups_a, groups_b: (n,). reason: why nothing can be measured; '' when it can.
    """

    a: Floats
    groups_a: Indices
    b: Floats
    groups_b: Indices
    reason: str = ''

    @property
    def dim(self) -> int:
        """d'."""
        return int(self.a.shape[1])


def prepare_pair(
    labelled: NDArray[np.floating],
    labelled_groups: NDArray[np.integer],
    unlabelled: NDArray[np.floating],
    unlabelled_groups: NDArray[np.integer],
    *,
    max_dim: int = MAX_DIM,
    seed: int = 0,
) -> VectorPair:
    """Equalise, standardise, project.

    1. As many groups on both sides, then as many vectors (drawn). 2. Every feature minus the mean,
    over the standard deviation, of both sides together; one that never changes is left out. (The labelled standard
    deviation would treat the sides differently: two equal sides then get p < .05 in 7 of 100 cases.) 3. Principal axes
    of the union, d' = min(max_dim, n / 20, groups / 4, d), at least 2: more axes than samples can fill measure noise.

    Args:
        labelled: (n, d). unlabelled: (m, d). *_groups: image of each vector.
        seed: of the draws.

    Returns:
        The pair; ``reason`` is set when a side has fewer than two vectors or values that are not finite.
    """
    a, b = np.asarray(labelled, dtype=np.float64), np.asarray(unlabelled, dtype=np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f'the vectors must be (n, d) and (m, d), but are {a.shape} and {b.shape}.')
    groups_a, groups_b = group_index(labelled_groups)[0], group_index(unlabelled_groups)[0]
    if min(len(a), len(b)) < 2:
        return VectorPair(a, groups_a, b, groups_b, f'{len(a)} labelled and {len(b)} unlabelled vectors')
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return VectorPair(a, groups_a, b, groups_b, 'there are vectors that are not finite')
    rng = np.random.default_rng(seed)
    keep_a, keep_b = _equal_groups(groups_a, groups_b, rng)
    count = min(keep_a.size, keep_b.size)
    keep_a, keep_b = (np.sort(rng.permutation(keep)[:count]) for keep in (keep_a, keep_b))
    a, b, groups_a, groups_b = a[keep_a], b[keep_b], groups_a[keep_a], groups_b[keep_b]
    union = np.concatenate([a, b])
    spread = union.std(axis=0)
    moving = spread > 1e-12 * np.abs(union).max(axis=0).clip(1.0)
    a, b = (((x - union.mean(axis=0))[:, moving] / spread[moving]) for x in (a, b))
    if not moving.any():
        return VectorPair(a, groups_a, b, groups_b, 'no feature changes')
    groups = min(group_index(groups_a)[1], group_index(groups_b)[1])
    dim = max(2, min(max_dim, count // VECTORS_PER_DIM, groups // GROUPS_PER_DIM))
    axes, middle = principal_axes(np.concatenate([a, b]), dim)
    return VectorPair((a - middle) @ axes, groups_a, (b - middle) @ axes, groups_b)


def principal_axes(vectors: Floats, dim: int) -> tuple[Floats, Floats]:
    """((d, min(dim, d)) axes of largest variance, (d,) mean)."""
    middle = vectors.mean(axis=0)
    centred = vectors - middle
    axes = np.linalg.eigh(centred.T @ centred / max(len(vectors) - 1, 1))[1][:, ::-1]
    return axes[:, :dim], middle


def _equal_groups(a: Indices, b: Indices, rng: np.random.Generator) -> tuple[Indices, Indices]:
    """Elements of equally many drawn groups on both sides."""
    count = min(int(a.max()), int(b.max())) + 1
    kept = []
    for groups in (a, b):
        chosen = np.zeros(int(groups.max()) + 1, dtype=bool)
        chosen[rng.permutation(chosen.size)[:count]] = True
        kept.append(np.flatnonzero(chosen[groups]))
    return kept[0], kept[1]
