"""Does one split have other class shares than another?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imbdense.core.stats import ClassCounts

STRONG_TOTAL_VARIATION = 0.1
STRONG_RATIO = 3.0


@dataclass(frozen=True, eq=False)
class LabelShift:
    """Class shares of two splits side by side.

    Attributes:
        classes: C names. unit: what was counted, in words.
        shares: (2, C) float64, each row sums to 1.
        total_variation: 0.5 * sum |p - q|, in [0, 1]: the share of samples that would have to change class.
        jensen_shannon: divergence in bits, in [0, 1].
        ratio: (C,) q / p; inf where a class is only in the second, NaN where it is in neither.
    """

    classes: tuple[str, ...]
    unit: str
    shares: NDArray[np.float64]
    total_variation: float
    jensen_shannon: float
    ratio: NDArray[np.float64]

    def warnings(self) -> list[str]:
        """What a person should know before trusting a validation score."""
        first, second = self.shares
        found = []
        if self.total_variation > STRONG_TOTAL_VARIATION:
            found.append(
                f'strong label shift: {100 * self.total_variation:.0f} % of the {self.unit} would have to change class'
            )
        for name, p, q, ratio in zip(self.classes, first, second, self.ratio):
            if p > 0 and q == 0:
                found.append(f'{name} is not in the second split: its score there is undefined')
            elif p == 0 and q > 0:
                found.append(f'{name} is only in the second split: it cannot be learned')
            elif p > 0 and not 1 / STRONG_RATIO <= ratio <= STRONG_RATIO:
                found.append(f'{name}: {100 * p:.3g} % -> {100 * q:.3g} % (x {ratio:.2g})')
        return found


def label_shift(first: ClassCounts, second: ClassCounts, unit: str) -> LabelShift:
    """Compare the shares of two splits in ``unit``.

    Raises:
        ValueError: other classes, a unit that was not counted, or a split without any sample.
    """
    if first.classes != second.classes:
        raise ValueError(f'the splits have other classes: {list(first.classes)} and {list(second.classes)}.')
    p, q = _shares(first.of(unit)), _shares(second.of(unit))
    with np.errstate(divide='ignore', invalid='ignore'):
        ratio = q / p
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    variation = float(np.abs(p - q).sum() / 2)
    return LabelShift(first.classes, first.word(unit), np.stack([p, q]), variation, max(divergence, 0.0), ratio)


def _shares(counts: ArrayLike) -> NDArray[np.float64]:
    """Counts as a distribution."""
    values = np.asarray(counts, np.float64)
    if values.sum() == 0:
        raise ValueError('a split holds no sample of any class; there are no shares to compare.')
    return values / values.sum()


def _relative_entropy(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """sum p log2(p / q) over p > 0."""
    inside = p > 0
    return float((p[inside] * np.log2(p[inside] / q[inside])).sum())
