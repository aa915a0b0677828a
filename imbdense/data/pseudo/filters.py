"""How many pseudo-labels of each class every filter leaves: the table that shows where a rare class is lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Table = list[list[str]]


class FilterTable:
    """Counts per class after each of a chain of filters.

    Args:
        classes: C class names.
        unit: what is counted, 'boxes' or 'pixels'.
        predicted: (C,) what the model predicted, before any filter.
    """

    def __init__(self, classes: Sequence[str], unit: str, predicted: ArrayLike) -> None:
        self.classes = tuple(classes)
        self.unit = unit
        self.steps: list[tuple[str, NDArray[np.int64]]] = []
        self.add('predicted', predicted)

    def add(self, name: str, kept: ArrayLike) -> None:
        """Record that the filter ``name`` leaves ``kept`` (C,).

        Raises:
            ValueError: another number of classes, or more than before.
        """
        counts = np.asarray(kept, dtype=np.int64)
        if counts.shape != (len(self.classes),):
            raise ValueError(f'FilterTable: {name} has shape {counts.shape}, expected ({len(self.classes)},).')
        if self.steps and (counts > self.steps[-1][1]).any():
            raise ValueError(f'FilterTable: {name} leaves more than {self.steps[-1][0]} did.')
        self.steps.append((name, counts))

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(C,) before any filter."""
        return self.steps[0][1]

    @property
    def kept(self) -> NDArray[np.int64]:
        """(C,) after the last filter."""
        return self.steps[-1][1]

    @property
    def never_predicted(self) -> list[str]:
        """Classes the model did not predict once."""
        return [name for name, count in zip(self.classes, self.predicted) if count == 0]

    @property
    def lost(self) -> list[str]:
        """Classes that were predicted, and of which nothing is left."""
        return [name for name, before, now in zip(self.classes, self.predicted, self.kept) if before > 0 and now == 0]

    def rows(self) -> tuple[list[str], Table]:
        """(heads, one row per class and one for the sum), as text."""
        heads = ['class', *(name for name, _ in self.steps), 'kept']
        columns = [counts for _, counts in self.steps]
        rows = [[name, *(str(counts[place]) for counts in columns), _share(columns[-1][place], columns[0][place])]
                for place, name in enumerate(self.classes)]
        sums = [int(counts.sum()) for counts in columns]
        return heads, [*rows, ['all', *map(str, sums), _share(sums[-1], sums[0])]]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            'unit': self.unit,
            'classes': list(self.classes),
            'filters': [{'filter': name, 'left': counts.tolist()} for name, counts in self.steps],
        }


def imbalance_ratio(counts: ArrayLike) -> float | None:
    """Largest over smallest count of the classes that occur; ``None`` when none occurs."""
    values = np.asarray(counts, dtype=np.float64)
    values = values[values > 0]
    return float(values.max() / values.min()) if values.size else None


def _share(part: int, whole: int) -> str:
    """Percentage, or a dash for nothing of nothing."""
    return f'{100 * part / whole:.1f} %' if whole else '-'
