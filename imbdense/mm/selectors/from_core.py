"""The selectors of the core, under their own names: they need nothing of the hosts."""

from __future__ import annotations

from imbdense.core.selection import (
    FacilityLocation,
    FreeSel,
    KCenterGreedy,
    KMeansSelector,
    ProbCover,
    RandomSelector,
    StratifiedSelector,
    TypiClust,
    ZCore,
)
from imbdense.registry import SELECTORS

CORE_SELECTORS = (
    RandomSelector, StratifiedSelector, KMeansSelector, KCenterGreedy, TypiClust, ProbCover, FacilityLocation, FreeSel,
    ZCore,
)

for _cls in CORE_SELECTORS:
    SELECTORS.register_module(module=_cls)
