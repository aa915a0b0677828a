"""How fast each class is learned: from curves of loss and recall over the training steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def steps_to_reach(steps: Sequence[int], values: ArrayLike, threshold: float) -> list[int | None]:
    """The first of ``steps`` (T,) at which each column of ``values`` (T, K) is at least ``threshold``.

    ``None`` for a column that never is, also without any step; NaN (a class that was not measured) never is.

    Raises:
        ValueError: ``values`` has not one row per step.
    """
    table = _curves(steps, values)
    reached = table >= threshold
    return [int(steps[int(column.argmax())]) if column.any() else None for column in reached.T]


def loss_at_equal_head_loss(head: ArrayLike, tail: ArrayLike, levels: Sequence[float]) -> list[float | None]:
    """The tail loss at the moment when the head loss first comes down to each of ``levels``.

    Between two measurements both losses are taken as straight lines. Two optimizers can be compared at the same level:
    the ratio (tail loss / level) does not depend on how fast each of them is.

    Args:
        head, tail: (T,) mean loss of the frequent and of the rare classes at the same steps.
        levels: losses > 0.

    Returns:
        One tail loss per level; ``None`` where the head loss began below the level, never came down to it, or a value
        is missing (NaN).
    """
    first, second = np.asarray(head, dtype=np.float64), np.asarray(tail, dtype=np.float64)
    found: list[float | None] = []
    for level in levels:
        below = np.flatnonzero(first <= level)
        index = int(below[0]) if below.size else 0
        if index == 0:
            found.append(None)
            continue
        share = (first[index - 1] - level) / (first[index - 1] - first[index])
        value = float(second[index - 1] + share * (second[index] - second[index - 1]))
        found.append(value if np.isfinite(value) else None)
    return found


def _curves(steps: Sequence[int], values: ArrayLike) -> NDArray[np.float64]:
    """``values`` as (T, K)."""
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] != len(steps):
        raise ValueError(f'steps_to_reach: expected values of shape ({len(steps)}, K), but got {table.shape}.')
    return table
