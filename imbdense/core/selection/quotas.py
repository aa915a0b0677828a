"""Which class chooses first, and how much of the budget it may use."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Order = Literal['rarest_first', 'frequent_first', 'joint']
ORDERS: tuple[str, ...] = get_args(Order)


def class_order(counts: NDArray[np.int64], order: str) -> list[int]:
    """Classes with at least one object, by ascending (``frequent_first``: descending) count, ties by class index.

    A class that cannot use its quota leaves the rest to those after it; that is why rare classes go first.
    """
    sign = -1 if order == 'frequent_first' else 1
    return [int(c) for c in np.argsort(sign * counts, kind='stable') if counts[c] > 0]


def quota(left: float, classes_left: int, whole: bool) -> float:
    """An equal share of what is left: left / classes_left, rounded up where the budget counts ``whole`` images."""
    share = left / classes_left
    return float(math.ceil(share)) if whole else share
