"""How rare change is in a data set of pairs: by pixel, by pair, by transition."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from imbdense.core.stats import ImageClassTable, effective_number
from imbdense.data.change.transitions import TransitionCounts

RARE_PAIRS = 0.2
"""Share of pairs with change below which drawing them more often pays."""


@dataclass(frozen=True)
class ChangeSummary:
    """Two shares that need different cures, and what changes into what.

    Attributes:
        changed_pixels: changed / known pixels: a matter of the loss. NaN when no pixel is known.
        pairs_with_change: pairs with any changed pixel / pairs: a matter of the sampler.
        transitions: name -> (pixels, pairs) of the transitions that occur; empty without land cover.
        possible: number of transitions from one land cover to another.
    """

    changed_pixels: float
    pairs_with_change: float
    transitions: dict[str, tuple[int, int]] = field(default_factory=dict)
    possible: int = 0

    @property
    def effective_transitions(self) -> float:
        """exp(entropy) of the pixels per transition; 0 when there is none."""
        pixels = [count for count, _ in self.transitions.values()]
        return effective_number(pixels) if pixels else 0.0

    def advice(self) -> list[str]:
        """What to do about rare change, in words."""
        if not 0 < self.pairs_with_change < RARE_PAIRS:
            return []
        return [
            f"few pairs hold change: sampler=dict(type='imbdense.BalancedClassSampler') draws them "
            f'{0.5 / self.pairs_with_change:.1f} times as often; ten times or more invites overfitting.'
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            'changed_pixels': self.changed_pixels if np.isfinite(self.changed_pixels) else None,
            'pairs_with_change': self.pairs_with_change,
            'transitions': {name: {'pixels': p, 'pairs': n} for name, (p, n) in self.transitions.items()},
            'possible_transitions': self.possible,
            'effective_transitions': self.effective_transitions,
        }


def change_summary(table: ImageClassTable, transitions: TransitionCounts | None) -> ChangeSummary:
    """Summarise the change maps of a data set (class 0 = unchanged, all others changed) and its transitions."""
    known = int(table.totals.sum())
    with_change = np.unique(table.entry_images[table.classes > 0]).size
    named: dict[str, tuple[int, int]] = {}
    possible = 0
    if transitions is not None:
        counts = transitions.table()
        totals, pairs = counts.totals.tolist(), counts.image_counts.tolist()
        named = {name: (totals[place], pairs[place]) for place, name in enumerate(transitions.names) if place}
        possible = len(transitions.land_cover) * (len(transitions.land_cover) - 1)
    share = int(table.totals[1:].sum()) / known if known else float('nan')
    return ChangeSummary(share, with_change / max(len(table), 1), named, possible)
