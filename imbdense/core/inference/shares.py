"""Splitting what a class lost into causes that add up, and naming the main one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
LEAST_LOSS = 0.1
"""A class that lost less than this of its score has no finding."""


def waterfall(stages: Sequence[tuple[str, ArrayLike]], start: ArrayLike) -> dict[str, Floats]:
    """Return cause -> (C,) the part of 1 - start that mending it, after the ones before it, wins back.

    Args:
        stages: (cause, score (C,) once it and all causes before it are mended); the last must be the full score.
            A stage below an earlier one counts as equal to it (nothing won).
        start: (C,) score as it is. NaN (a class without ground truth) stays NaN in every cause.
    """
    reached = np.asarray(start, dtype=np.float64)
    shares: dict[str, Floats] = {}
    for cause, score in stages:
        better = np.maximum(np.asarray(score, dtype=np.float64), reached)
        shares[cause] = better - reached
        reached = better
    return shares


def main_causes(shares: Mapping[str, Floats], least: float = LEAST_LOSS) -> list[str]:
    """The cause with the largest share of each class; '' when all together lost less than ``least`` or are NaN."""
    names = list(shares)
    table = np.stack([shares[name] for name in names])
    total = table.sum(axis=0)
    return ['' if not total[c] >= least else names[int(table[:, c].argmax())] for c in range(table.shape[1])]


def pooled(shares: Mapping[str, Floats], members: Sequence[int]) -> dict[str, float]:
    """Mean share of every cause over the classes ``members`` (NaN left out; NaN when none is left)."""
    out = {}
    for cause, values in shares.items():
        chosen = values[list(members)]
        chosen = chosen[~np.isnan(chosen)]
        out[cause] = float(chosen.mean()) if chosen.size else float('nan')
    return out
