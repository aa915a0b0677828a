"""One number per class, checked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from imbdense.core.checks import check_number


def per_class(
    name: str,
    value: float | Sequence[float],
    num_classes: int,
    *,
    low: float,
    high: float,
    owner: str = '',
) -> Tensor:
    """(K,) float32 from one number for all classes or from one per class.

    Raises:
        ValueError: not K numbers, or one outside [low, high].
        TypeError: something is no number.
    """
    numbers = [value] * num_classes if isinstance(value, (int, float)) else list(value)
    if len(numbers) != num_classes:
        raise ValueError(f'{owner}: {name} must be one number or {num_classes}, one per class, but has {len(numbers)}.')
    checked = [check_number(f'{name}[{c}]', item, low=low, high=high, owner=owner) for c, item in enumerate(numbers)]
    return torch.tensor(checked, dtype=torch.float32)
