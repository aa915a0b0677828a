"""The nine kinds of change of the HabitAlp 2.0 habitat maps, from the classes of two dates.

Source: Kristen, Kulmer, Hirschmugl, "Habitat and Land Cover Change Detection in Alpine Protected Areas" (2025, arXiv
2511.00073) and the rules of its published code.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

KINDS = (
    'none', 'mature density loss', 'old-growth density loss', 'setback', 'progression', 'density gain',
    'early establishment', 'clearcut', 'other',
)  # fmt: skip
"""Names of the kinds 0 ... 8."""
STAGES = {'young': (6, 7), 'pole': (8, 9, 10), 'mature': (11, 12, 13, 14), 'old': (15, 16, 17, 18)}
DENSE, OPEN = (9, 12, 14, 16, 18), (8, 11, 13, 15, 17)
CLEARCUT, SHRUB_OR_GRASS = 19, (20, 21, 22)
UP = (('young', 'pole'), ('pole', 'mature'), ('pole', 'old'), ('mature', 'old'))
DOWN = (
    ('pole', 'young'), ('mature', 'young'), ('old', 'young'), ('mature', 'pole'), ('old', 'pole'), ('old', 'mature'),
)  # fmt: skip
LOSS = {'young': 3, 'pole': 3, 'mature': 1, 'old': 2}
NO_DATA = 255


def alpine_transition_lut() -> NDArray[np.uint8]:
    """Kind of change (24, 24) by class at the first date (rows) and at the second; 255 where either is 0 = no data.

    Classes are 1 ... 23 as in the label rasters. The order of the rules matters, later ones override: any difference
    is "other"; to clearcut; clearcut to young; a stage up or down (young to mature or old stays "other"); within a
    stage thinner or denser; shrub or grass to any forest.

    Change maps that others ship number the kinds differently; give their own table for them.
    """
    lut = np.full((24, 24), 8, dtype=np.uint8)
    np.fill_diagonal(lut, 0)
    lut[np.arange(24) != CLEARCUT, CLEARCUT] = 7
    _set(lut, (CLEARCUT,), STAGES['young'], 6)
    for steps, kind in ((UP, 4), (DOWN, 3)):
        for before, after in steps:
            _set(lut, STAGES[before], STAGES[after], kind)
    for stage, classes in STAGES.items():
        dense, thin = (tuple(set(classes) & set(part)) for part in (DENSE, OPEN))
        _set(lut, dense, thin, LOSS[stage])
        _set(lut, thin, dense, 5)
    _set(lut, SHRUB_OR_GRASS, tuple(index for stage in STAGES.values() for index in stage), 6)
    lut[0, :] = lut[:, 0] = NO_DATA
    return lut


def _set(lut: NDArray[np.uint8], before: tuple[int, ...], after: tuple[int, ...], kind: int) -> None:
    """Give all pairs of the two sets one kind."""
    if before and after:
        lut[np.ix_(before, after)] = kind
