"""Argument checks whose messages name the argument, what was expected, what came, and what to do."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def check_choice(name: str, value: Any, choices: Iterable[Any], *, owner: str = '') -> Any:
    """Return ``value`` if it is one of ``choices``; else ``ValueError`` that lists them."""
    options = list(choices)
    if value not in options:
        raise ValueError(f'{_prefix(owner)}{name} must be one of {options}, but got {value!r}.')
    return value


def check_number(
    name: str,
    value: Any,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    low_open: bool = False,
    owner: str = '',
) -> float:
    """Return ``float(value)`` if it is a finite number inside [low, high] (or (low, high] with ``low_open``).

    Integers are accepted where floats are meant. Raises ``TypeError`` for other types, ``ValueError`` outside.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f'{_prefix(owner)}{name} must be a number, but got {type(value).__name__} {value!r}.')
    number = float(value)
    if not math.isfinite(number) or number < low or number > high or (low_open and number == low):
        bracket = '(' if low_open else '['
        raise ValueError(f'{_prefix(owner)}{name} must be a finite number in {bracket}{low}, {high}], but got {value}.')
    return number


def check_integer(name: str, value: Any, *, low: int | None = None, high: int | None = None, owner: str = '') -> int:
    """Return ``value`` as int if it is an integer (also one of NumPy) inside [low, high]; else ``TypeError`` /
    ``ValueError``."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f'{_prefix(owner)}{name} must be an integer, but got {type(value).__name__} {value!r}.')
    if (low is not None and value < low) or (high is not None and value > high):
        span = f'>= {low}' if high is None else f'<= {high}' if low is None else f'in [{low}, {high}]'
        raise ValueError(f'{_prefix(owner)}{name} must be an integer {span}, but got {value}.')
    return int(value)


def check_counts(counts: Sequence[float] | Tensor, *, name: str = 'class_counts', owner: str = '') -> Tensor:
    """Return per-class counts as a float64 tensor (C,).

    Expects a non-empty 1-D sequence of finite, non-negative numbers with a positive sum. The values are looked at
    where :func:`reads_values` allows it.
    """
    tensor = torch.as_tensor(counts, dtype=torch.float64)
    if tensor.ndim != 1 or tensor.numel() == 0:
        raise ValueError(f'{_prefix(owner)}{name} must hold one number per class, but has shape {tuple(tensor.shape)}.')
    if not reads_values(tensor):
        return tensor
    if not bool(torch.isfinite(tensor).all()) or bool((tensor < 0).any()):
        raise ValueError(f'{_prefix(owner)}{name} must be finite and >= 0, but got {tensor.tolist()}.')
    if float(tensor.sum()) == 0.0:
        raise ValueError(f'{_prefix(owner)}{name} sum to zero: no class was counted. Run `imbdense stats CONFIG`.')
    return tensor


def check_channels(pred: Tensor, num_classes: int, *, owner: str = '', what: str = 'class_counts') -> None:
    """Raise ``ValueError`` unless dim 1 of ``pred`` (N, C, ...) has ``num_classes`` channels."""
    if pred.ndim < 2 or pred.shape[1] != num_classes:
        got = pred.shape[1] if pred.ndim >= 2 else f'shape {tuple(pred.shape)}'
        raise ValueError(
            f'{_prefix(owner)}{what} has {num_classes} entries but the logits have {got} channels (dim 1). '
            f'Were the classes counted with the same class list and the same reduce_zero_label as the head uses?'
        )


def check_index_target(
    pred: Tensor, target: Tensor, ignore_index: int, *, values: int | None = None, owner: str = ''
) -> None:
    """Check that ``target`` holds class indices for ``pred``: shape = pred without dim 1, integer, values in range.

    Shapes and dtypes are always checked. Values are checked on CPU; on an accelerator only when ``IMBDENSE_DEBUG=1``,
    because reading them would make the device wait.

    Args:
        pred: (N, C, *spatial) or (P, C).
        target: (N, *spatial) or (P,).
        ignore_index: the value that is allowed besides the classes.
        values: how many class indices are allowed; default C. Heads with a background index pass C + 1.

    Raises:
        ValueError: shapes disagree or values outside [0, values) other than ``ignore_index`` (they are listed).
        TypeError: ``target`` is not an integer tensor.
    """
    check_index_shape(pred, target, owner=owner)
    if reads_values(target):
        _check_values(target, ignore_index, values or pred.shape[1], owner)


def split_ignored(
    pred: Tensor, target: Tensor, ignore_index: int, *, values: int | None = None, owner: str = ''
) -> tuple[Tensor, Tensor]:
    """Check like :func:`check_index_target` and return ``(safe, valid)``.

    ``safe`` (int64) is ``target`` with 0 where it is ignored, so that it can index; ``valid`` (bool) tells where that
    is not so. The value check reads ``safe`` once, which is cheaper than to check and then to mask.
    """
    check_index_shape(pred, target, owner=owner)
    valid = target != ignore_index
    safe = torch.where(valid, target, 0).long()
    limit = values or pred.shape[1]
    if reads_values(safe):
        low, high = (int(value) for value in torch.aminmax(safe))
        if low < 0 or high >= limit:
            _check_values(target, ignore_index, limit, owner)
    return safe, valid


def check_index_shape(pred: Tensor, target: Tensor, *, owner: str = '') -> None:
    """Raise unless ``target`` is an integer tensor of the shape of ``pred`` without dim 1."""
    expected = (pred.shape[0], *pred.shape[2:])
    if tuple(target.shape) != expected:
        raise ValueError(
            f'{_prefix(owner)}target must have the shape of the logits without dim 1, {expected}, '
            f'but has {tuple(target.shape)}.'
        )
    if target.is_floating_point() or target.is_complex() or target.dtype == torch.bool:
        raise TypeError(f'{_prefix(owner)}target must hold integer class indices, but is {target.dtype}.')


def reads_values(target: Tensor) -> bool:
    """Whether the values of ``target`` may be looked at: on CPU, or where ``IMBDENSE_DEBUG=1``; not while compiling."""
    if torch.compiler.is_compiling() or target.numel() == 0:
        return False
    return target.device.type == 'cpu' or os.environ.get('IMBDENSE_DEBUG') == '1'


def _check_values(target: Tensor, ignore_index: int, limit: int, owner: str) -> None:
    """Raise with the foreign values, if there are any."""
    outside = ((target < 0) | (target >= limit)) & (target != ignore_index)
    if bool(outside.any()):
        values = torch.unique(target[outside])[:10].tolist()
        raise ValueError(
            f'{_prefix(owner)}target holds the values {values}, outside [0, {limit}) and not '
            f'ignore_index={ignore_index}. Run `imbdense check CONFIG` to see which label files hold them.'
        )


def _prefix(owner: str) -> str:
    """Name the component in front of a message."""
    return f'{owner}: ' if owner else ''
