"""One number per class: from arguments, and from probabilities."""

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


def valid_class_sums(probs: Tensor, valid: Tensor) -> Tensor:
    """(K,) float64: the probability of each class, summed over the valid elements of this rank.

    Args:
        probs: (N, K, *spatial) or (P, K); may be NaN where invalid.
        valid: bool (N, *spatial) or (P,).
    """
    return torch.where(valid.unsqueeze(1), probs, 0.0).sum([0, *range(2, probs.ndim)]).double()
