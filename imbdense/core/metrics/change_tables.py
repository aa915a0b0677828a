"""The tables that change detection is scored by, out of counted pairs of states. Rows = prediction, columns = label."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from imbdense.core.metrics.change_states import Counts, StatePairs

DENSE_CLASSES = 16
"""Up to so many land-cover classes the table of transitions is kept as a matrix, beyond as its columns in use."""


def semantic_table(pairs: StatePairs) -> Counts:
    """Protocol ``sem``: (S + 1, S + 1), both dates added up; 0 = unchanged, 1 ... S = land cover at that date.

    A date without a class (255) counts as unchanged in a prediction and is left out in a changed label.
    """
    return date_table(pairs, 0) + date_table(pairs, 1)


def date_table(pairs: StatePairs, date: int) -> Counts:
    """The part of :func:`semantic_table` of the first (0) or second (1) date."""
    size, digits = pairs.num_land_classes + 1, _digits(pairs.num_land_classes)[date]
    table = np.zeros((size, size), dtype=np.int64)
    known = (pairs.labelled == 0) | (digits[pairs.labelled] > 0)
    np.add.at(table, (digits[pairs.predicted[known]], digits[pairs.labelled[known]]), pairs.count[known])
    return table


def from_to_table(pairs: StatePairs) -> Counts:
    """Protocol ``from_to``: (1 + S^2, 1 + S^2), one count per pixel; 0 = unchanged, S s1 + s2 + 1 = transition.

    A prediction without a class at one of the dates counts as unchanged; a changed label without one is left out.
    """
    size = 1 + pairs.num_land_classes**2
    table = np.zeros((size, size), dtype=np.int64)
    np.add.at(table, *from_to_entries(pairs))
    return table


def from_to_columns(pairs: StatePairs) -> dict[int, Counts]:
    """The columns in use of :func:`from_to_table`: label id -> (1 + S^2,) counts of predicted ids."""
    (predicted, labelled), count = from_to_entries(pairs)
    columns: dict[int, Counts] = {}
    for label in np.unique(labelled).tolist():
        own = labelled == label
        columns[label] = np.zeros(1 + pairs.num_land_classes**2, dtype=np.int64)
        np.add.at(columns[label], predicted[own], count[own])
    return columns


def binary_table(pairs: StatePairs) -> Counts:
    """(2, 2): changed or not, of the change maps alone; land cover does not matter."""
    table = np.zeros((2, 2), dtype=np.int64)
    np.add.at(table, ((pairs.predicted > 0).astype(int), (pairs.labelled > 0).astype(int)), pairs.count)
    return table


def label_census(pairs: StatePairs) -> Counts:
    """(4,): unchanged pixels, and changed ones with land cover known at both dates, at one, at none."""
    first, second, _ = _digits(pairs.num_land_classes)
    unknown = (first[pairs.labelled] == 0).astype(int) + (second[pairs.labelled] == 0)
    census = np.zeros(4, dtype=np.int64)
    np.add.at(census, np.where(pairs.labelled == 0, 0, 1 + unknown), pairs.count)
    return census


def from_to_entries(pairs: StatePairs) -> tuple[tuple[Counts, Counts], Counts]:
    """((predicted ids, label ids), counts) of the pixels whose label is a whole transition or unchanged."""
    ids = _digits(pairs.num_land_classes)[2]
    counted = (pairs.labelled == 0) | (ids[pairs.labelled] > 0)
    return (ids[pairs.predicted[counted]], ids[pairs.labelled[counted]]), pairs.count[counted]


@lru_cache(maxsize=8)
def _digits(num_land_classes: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Per state: class of the first date, of the second date (0 = none), and id of the transition (0 = none)."""
    states = np.arange(-1, (num_land_classes + 1) ** 2)
    first, second = states // (num_land_classes + 1), states % (num_land_classes + 1)
    first[0] = second[0] = 0
    ids = np.where((first > 0) & (second > 0), num_land_classes * (first - 1) + second, 0)
    return first, second, ids
