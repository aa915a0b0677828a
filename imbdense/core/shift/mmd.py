"""Maximum mean discrepancy with Gaussian kernels of five widths, unbiased also where the samples come in groups."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from imbdense.core.shift.moments import Floats, group_index
from imbdense.core.shift.pair import VectorPair

WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Kernel widths in units of the median distance."""
MAX_VECTORS = 2000


@dataclass(frozen=True)
class MeanDiscrepancy:
    """MMD² summed over the widths; about 0, also negative, where the distributions are equal.

    Attributes:
        value: sum of ``by_width``. by_width: (5,) MMD² per width. p_value: under exchanged groups. reason: of NaN.
    """

    value: float
    by_width: tuple[float, ...]
    p_value: float
    reason: str = ''


def mean_discrepancy(pair: VectorPair, *, permutations: int = 199, seed: int = 0) -> MeanDiscrepancy:
    """Unbiased MMD² = mean k(a, a') + mean k(b, b') - 2 mean k(a, b), k(x, y) = exp(-|x - y|² / (2 s²)).

    The means run over pairs of *different* groups only: two pixels of one image are near each other whatever the
    distributions are. At most 2000 drawn vectors a side (memory for 16 million kernel values).

    Source: Gretton et al., A kernel two-sample test, JMLR 13, 2012 (there every vector is a group of its own).
    """
    groups = [group_index(g)[1] for g in (pair.groups_a, pair.groups_b)]
    if pair.reason or min(groups) < 2:
        return MeanDiscrepancy(math.nan, (math.nan,) * 5, math.nan, pair.reason or 'fewer than two images on a side')
    rng = np.random.default_rng(seed)
    keep_a, keep_b = (np.sort(rng.permutation(len(x))[:MAX_VECTORS]) for x in (pair.a, pair.b))
    index_a, count_a = group_index(pair.groups_a[keep_a])
    index_b, count_b = group_index(pair.groups_b[keep_b])
    if min(count_a, count_b) < 2:
        return MeanDiscrepancy(math.nan, (math.nan,) * 5, math.nan, 'fewer than two images on a side')
    index = np.concatenate([index_a, index_b + count_a])
    distances = _squared_distances(np.concatenate([pair.a[keep_a], pair.b[keep_b]]))
    scale = float(np.median(distances[np.triu_indices(len(distances), 1)]))
    if scale <= 0:
        return MeanDiscrepancy(math.nan, (math.nan,) * 5, math.nan, 'most vectors are equal')
    sizes = np.bincount(index).astype(np.float64)
    labelled = np.zeros((permutations + 1, sizes.size))
    labelled[0, :count_a] = 1.0
    for row in labelled[1:]:
        row[rng.permutation(sizes.size)[:count_a]] = 1.0
    start = np.concatenate([[0], np.cumsum(np.bincount(index))[:-1]])
    order = np.argsort(index, kind='stable')
    distances = distances[order][:, order]
    kernel = np.exp(-distances / (2.0 * WIDTHS[-1] ** 2 * scale))
    tables: list[Floats] = []
    for number in range(len(WIDTHS)):
        if number:  # half the width: the fourth power
            np.square(kernel, out=kernel)
            np.square(kernel, out=kernel)
        tables.insert(0, np.add.reduceat(np.add.reduceat(kernel, start, axis=0), start, axis=1))
        np.fill_diagonal(tables[0], 0.0)
    by_width = [float(_discrepancy(table, sizes, labelled[:1])[0]) for table in tables]
    total = _discrepancy(np.sum(tables, axis=0), sizes, labelled)
    p_value = (1 + int((total[1:] >= total[0] - 1e-15).sum())) / (permutations + 1)
    return MeanDiscrepancy(float(total[0]), tuple(by_width), p_value)


def _discrepancy(by_group: Floats, sizes: Floats, labelled: Floats) -> Floats:
    """(R,) MMD² of R ways to deal the groups; ``by_group`` (G, G) sums of the kernel, diagonal 0."""
    other = 1.0 - labelled
    reach_a = labelled @ by_group
    reach_b = by_group.sum(axis=0) - reach_a

    def pairs(rows: Floats) -> Floats:
        return (rows @ sizes) ** 2 - rows @ sizes**2

    inside = (reach_a * labelled).sum(axis=1) / pairs(labelled) + (reach_b * other).sum(axis=1) / pairs(other)
    return inside - 2.0 * (reach_a * other).sum(axis=1) / ((labelled @ sizes) * (other @ sizes))


def _squared_distances(vectors: Floats) -> Floats:
    """(n, n)."""
    norms = (vectors**2).sum(axis=1)
    return np.maximum(norms[:, None] + norms[None, :] - 2.0 * vectors @ vectors.T, 0.0)
