"""What a change detector says at a pixel, as one number; and how often it says what against which label.

At a pixel a side (prediction or label) is in one of 1 + (S + 1)^2 states: 0 = unchanged, otherwise 1 + (S + 1) a + b
with the land cover a at the first and b at the second date, each 1 ... S, or 0 = none given. Pairs of states are
counted once; both protocols of semantic change, the binary table and the transitions are sums of these counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.checks import check_integer
from imbdense.core.metrics.byte_table import count_byte_pairs
from imbdense.core.metrics.confusion import count_byte_pairs_torch
from imbdense.core.metrics.present_pairs import count_present_pairs

Counts = NDArray[np.int64]

UNKNOWN = 255
"""Value of a byte map where nothing is known: ignored in labels, "unchanged at this date" in predictions."""
BYTE_CLASSES = 14
"""With at most so many land-cover classes all states and "ignored" fit a byte."""
SHORT_CLASSES = 179
"""The same for 16 bits."""
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
    """Return the state of every pixel: uint8 for S <= 14, int16 for S <= 179, else int32; ignored pixels are one above
    the last state.

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
    if size > BYTE_CLASSES:
        digits = [digit.to(torch.int16 if size <= SHORT_CLASSES else torch.int32) for digit in digits]
    a, b = digits
    states = a.mul_(size + 1).add_(b).add_(1)
    change = change.to(states.dtype)
    if side == 'prediction':
        return states.mul_(change)
    ignored = change >> 7  # arithmetic: comparing and filling takes ten times as long
    return states.mul_(change ^ (ignored * UNKNOWN)).add_(ignored, alpha=1 + (size + 1) ** 2)


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
    states = 1 + (num_land_classes + 1) ** 2
    if num_land_classes > BYTE_CLASSES:
        maps = [item.reshape(-1).cpu().numpy() for item in (labelled, predicted)]
        rows, columns, count = count_present_pairs(maps[0], maps[1], states + 1)
        known = rows < states  # one above the last state is "ignored"
        return StatePairs(columns[known], rows[known], count[known], num_land_classes)
    if predicted.device.type == 'cpu':
        parts = count_byte_pairs(labelled.numpy(), predicted.numpy(), states + 1)
    else:
        parts = count_byte_pairs_torch(labelled, predicted)
    table = _required(parts)[:, :states, :states].sum(axis=0)
    rows, columns = np.nonzero(table)
    return StatePairs(columns, rows, table[rows, columns], num_land_classes)


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
