"""The scores of every table of change metrics by its name: for whole sets, for resampled blocks, for two models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.core.metrics.change_scores import HistogramSums, binary_scores, change_scores, kind_scores

TWO_CLASSES = ('bcd', 'pcc/change')
PROTOCOLS = ('scd/sem', 'scd/from_to')
KINDS = ('pcc/kinds',)
FLAGS = ('valid', 'kappa_degenerate')


def scores_of_sums(
    packed: Mapping[str, NDArray[Any]], *, strict_reference: bool = False
) -> dict[str, NDArray[np.float64]]:
    """Scores ``<table>/<score>`` (n,) of packed sums (n, 3 K) per table; tables without a rule are passed over.

    ``scd/sem``, ``scd/from_to``: semantic change. ``bcd``, ``pcc/change``: changed or not. ``pcc/kinds``: kinds of
    change. See :mod:`imbdense.core.metrics.change_scores`.
    """
    found = {}
    for table, values in packed.items():
        sums = HistogramSums.unpack(np.asarray(values))
        if table in PROTOCOLS:
            scores = change_scores(sums, strict_reference=strict_reference)
        elif table in TWO_CLASSES:
            scores = binary_scores(sums)
        elif table in KINDS:
            scores = kind_scores(sums)
        else:
            continue
        found.update({f'{table}/{name}': value for name, value in scores.items() if name not in FLAGS})
    return found

