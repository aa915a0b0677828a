"""Tables of comparing two land-cover maps: every pixel is a transition, also one that stays what it was.

Pairs of states come from :func:`change_states` with the change map 1 at every known pixel, so that the land cover of
both dates is there; an id S s1 + s2 + 1 with s1 = s2 then means "unchanged". Rows = prediction, columns = label.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imbdense.core.metrics.change_scores import HistogramSums
from imbdense.core.metrics.change_states import Counts, StatePairs
from imbdense.core.metrics.change_tables import from_to_entries


def transition_sums(pairs: StatePairs) -> HistogramSums:
    """Sums of the histogram of 1 + S^2 ids, those of staying included, without making the histogram."""
    (said, true), count = from_to_entries(pairs)
    same = said == true
    parts = []
    for ids, weight in ((said, count), (true, count), (said[same], count[same])):
        part = np.zeros(1 + pairs.num_land_classes**2, dtype=np.int64)
        np.add.at(part, ids, weight)
        parts.append(part)
    return HistogramSums(*parts)


def differing_table(pairs: StatePairs) -> Counts:
    """(2, 2): whether the land cover of the dates differs."""
    ids = np.arange(pairs.num_land_classes**2)
    differs = ids // pairs.num_land_classes != ids % pairs.num_land_classes
    return kind_table(pairs, differs.astype(np.int64))


def kind_table(pairs: StatePairs, kinds: NDArray[np.int64]) -> Counts:
    """(K, K) of kinds of change, K = largest kind + 1, from the kind (S, S) or (S^2,) of every transition.

    A prediction without a class at one of the dates is of kind 0.
    """
    kind_of = np.concatenate([[0], kinds.ravel()])
    (said, true), count = from_to_entries(pairs)
    table = np.zeros((int(kind_of.max()) + 1,) * 2, dtype=np.int64)
    np.add.at(table, (kind_of[said], kind_of[true]), count)
    return table


def fold_unchanged(sums: HistogramSums, both_unchanged: int) -> HistogramSums:
    """Sums of ids with all that stays what it was put under id 0.

    Args:
        sums: of :func:`transition_sums`.
        both_unchanged: pixels that both sides call unchanged, be it as different classes.
    """
    size = round((sums.labelled.size - 1) ** 0.5)
    stays = 1 + np.arange(size) * (size + 1)
    parts = []
    for part in (sums.predicted, sums.labelled, sums.agreed):
        moved = part.copy()
        moved[0] += part[stays].sum()
        moved[stays] = 0
        parts.append(moved)
    parts[2][0] = both_unchanged
    return HistogramSums(*parts)
