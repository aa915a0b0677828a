"""``imbdense.OFDS`` and the filter it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imbdense.core.selection import OFDS as CoreOFDS
from imbdense.core.selection import KNNVerifier
from imbdense.core.selection.ofds import Cost
from imbdense.registry import SELECTION_FILTERS, SELECTORS

SELECTION_FILTERS.register_module(module=KNNVerifier)
DEFAULT_FILTER = {'type': 'imbdense.KNNVerifier', 'k': 10}


@SELECTORS.register_module()
class OFDS(CoreOFDS):
    """Object-focused data selection: images for objects that nothing labelled shows yet, rare classes first.

    Args:
        verify: config of a selection filter, without a type ``imbdense.KNNVerifier``; ``None`` = none.
        others: see :class:`imbdense.core.selection.OFDS`.
    """

    def __init__(
        self,
        score_thr: float | Sequence[float] = 0.3,
        adaptive_tau: bool = True,
        verify: Mapping[str, Any] | None = DEFAULT_FILTER,
        kmeans: Mapping[str, Any] | None = None,
        order: str = 'rarest_first',
        cost: Cost | None = None,
        cost_weight: float = 0.25,
        max_repeat: int = 4,
        normalize: bool = True,
    ) -> None:
        filters = None if verify is None else SELECTION_FILTERS.build({'type': DEFAULT_FILTER['type'], **verify})
        super().__init__(
            score_thr, adaptive_tau, filters, dict(kmeans or {}), order, cost, cost_weight, max_repeat, normalize)
