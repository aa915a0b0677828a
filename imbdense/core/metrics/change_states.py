"""What a change detector says at a pixel, as one number; and how often it says what against which label.

At a pixel a side (prediction or label) is in one of 1 + (S + 1)^2 states: 0 = unchanged, otherwise 1 + (S + 1) a + b with
the land cover a at the first and b at the second date, each 1 ... S, or 0 = none given. Pairs of states are counted
once; both protocols of semantic change, the binary table and the transitions are sums of these counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.checks import check_integer
from imbdense.core.metrics.byte_table import SIDE, count_byte_pairs
from imbdense.core.metrics.confusion import count_byte_pairs_torch

Counts = NDArray[np.int64]

UNKNOWN = 255
"""Value of a byte map where nothing is known: ignored in labels, "unchanged at this date" in predictions."""
BYTE_CLASSES = 14
"""With at most so many land-cover classes all states and "ignored" fit a byte."""
MOST_CLASSES = 253


@dataclass(frozen=True)
class StatePairs:
    """How often each pair of states occurs, sparse (n entries), ignored pixels left out.

    Attributes:
        predicted, labelled: int64 (n,) states of either side. count: int64 (n,), > 0.
        num_land_classes: S.
    """

    predicted: Counts
    labelled: Counts
    count: Counts
    num_land_classes: int


def change_states(change: Tensor, first: Tensor, second: Tensor, num_land_classes: int, *, side: str) -> Tensor:
    """Return the state of every pixel: uint8 for S <= 14, else int32; ignored pixels are 255 or -1.

    Args:
        change: uint8 maps of 0 and 1, in labels also 255 = ignored; any shape and device.
        first, second: uint8 land cover 0 ... S - 1 of the dates, or 255 = none given. What they hold at unchanged
            pixels does not matter, but must be a class or 255.
        num_land_classes: S, at most 253.
        side: ``'prediction'`` or ``'label'``, for the messages; a prediction cannot be 255 = ignored.

    Raises:
        ValueError: other values; the message lists them.
    """
    size = check_integer('num_land_classes', num_land_classes, low=1, high=MOST_CLASSES, owner='change_states')
    _check_change(change, side)
    digits = [date + 1 for date in (first, second)]  # uint8: 255 becomes 0
    for date, digit in zip((first, second), digits):
        if digit.numel() and int(digit.max()) > size:
            wrong = torch.unique(date[digit > size])[:10].tolist()
            raise ValueError(
                f'{side} land cover holds the values {wrong}, but there are C = {size} land-cover classes: expected '
                f'0 to {size - 1}, or 255 = none given. Does the class list fit the head and the label files?'
            )
    a, b = digits if size <= BYTE_CLASSES else [digit.to(torch.int32) for digit in digits]
    states = a.mul_(size + 1).add_(b).add_(1)
    if side == 'prediction':
        return states.mul_(change)
    ignored = change == UNKNOWN
    states.mul_(change.to(states.dtype))
    return states.masked_fill_(ignored, UNKNOWN if size <= BYTE_CLASSES else -1)


def count_state_pairs(predicted: Tensor, labelled: Tensor, num_land_classes: int) -> StatePairs:
    """Count the pairs of states of two maps from :func:`change_states`, on their device.

    Raises:
        ValueError: the maps differ in size.
    """
    if predicted.shape != labelled.shape:
        raise ValueError(
            f'prediction {tuple(predicted.shape)} and label {tuple(labelled.shape)} differ in size. Was the prediction '
            f'resized to the size of the label?'
        )
    if num_land_classes <= BYTE_CLASSES:
        if predicted.device.type == 'cpu':
            parts = count_byte_pairs(labelled.numpy(), predicted.numpy())
        else:
            parts = count_byte_pairs_torch(labelled, predicted)
        states = 1 + (num_land_classes + 1) ** 2
        table = _required(parts)[:, :states, :states].sum(axis=0)
        rows, columns = np.nonzero(table)
        return StatePairs(columns, rows, table[rows, columns], num_land_classes)
    return _count_wide(predicted.reshape(-1).cpu() + 1, labelled.reshape(-1).cpu() + 1, num_land_classes)


def _count_wide(predicted: Tensor, labelled: Tensor, num_land_classes: int) -> StatePairs:
    """States beyond a byte (here plus 1, so that 0 is ignored): those that occur are few, renumber them, count."""
    rows, columns = _present(labelled), _present(predicted)
    shape = (len(rows) + 1, len(columns) + 1)
    if max(shape) <= SIDE:
        row_of, column_of = _rank(labelled, rows, torch.uint8), _rank(predicted, columns, torch.uint8)
        table = _required(count_byte_pairs(row_of.numpy(), column_of.numpy()))[:, : shape[0], : shape[1]].sum(axis=0)
    else:
        index = _rank(labelled, rows, torch.int64).mul_(shape[1]).add_(_rank(predicted, columns, torch.int64))
        table = np.bincount(index.numpy(), minlength=shape[0] * shape[1]).reshape(shape)
    i, j = np.nonzero(table[1:, 1:])
    return StatePairs(columns[j], rows[i], table[1:, 1:][i, j].astype(np.int64, copy=False), num_land_classes)


def _present(states: Tensor) -> Counts:
    """The states that occur, ascending, without the ignored."""
    values = states.numpy()
    seen = np.zeros(int(values.max(initial=0)) + 1, dtype=np.bool_)
    seen[values] = True
    return np.flatnonzero(seen[1:])


def _rank(states: Tensor, present: Counts, dtype: torch.dtype) -> Tensor:
    """For every pixel the place of its state among those that occur, counted from 1; 0 where it is ignored."""
    rank = torch.zeros(int(present[-1]) + 2 if present.size else 1, dtype=dtype)
    rank[torch.from_numpy(present) + 1] = torch.arange(1, len(present) + 1).to(dtype)
    return rank.index_select(0, states)


def _check_change(change: Tensor, side: str) -> None:
    """0 and 1, and 255 in labels."""
    highest = (change if side == 'prediction' else change + 1).max() if change.numel() else 0
    if int(highest) > (1 if side == 'prediction' else 2):
        allowed = '0 and 1' if side == 'prediction' else '0, 1 and 255 = ignored'
        raise ValueError(
            f'{side} change map holds the values {torch.unique(change)[:10].tolist()}, expected {allowed}. Were 0/255 '
            f'label files loaded without turning 255 into 1?'
        )


def _required(parts: Counts | None) -> Counts:
    """Byte maps always give a table."""
    if parts is None:
        raise ValueError('change states must be bytes')
    return parts
