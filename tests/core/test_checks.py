"""Argument checks: what passes, and what the messages say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbdense.core.checks import (
    check_channels,
    check_choice,
    check_counts,
    check_index_target,
    check_integer,
    check_number,
    split_ignored,
)


def test_choice() -> None:
    assert check_choice('mode', 'a', ('a', 'b')) == 'a'
    with pytest.raises(ValueError, match=r"X: mode must be one of \['a', 'b'\], but got 'c'"):
        check_choice('mode', 'c', ('a', 'b'), owner='X')


def test_numbers_accept_integers_and_refuse_the_rest() -> None:
    assert check_number('gamma', 2, low=0) == 2.0 and isinstance(check_number('gamma', 2), float)
    for wrong in ('2', None, True):
        with pytest.raises(TypeError, match='gamma must be a number'):
            check_number('gamma', wrong)
    for wrong in (-1, float('nan'), float('inf')):
        with pytest.raises(ValueError, match='gamma must be a finite number'):
            check_number('gamma', wrong, low=0)
    with pytest.raises(ValueError, match='above 0'):
        check_number('gamma', 0, low=0, low_open=True)


def test_integers() -> None:
    assert check_integer('n', 3, low=1, high=3) == 3
    assert type(check_integer('n', np.int64(3))) is int
    for wrong in (0, 4):
        with pytest.raises(ValueError, match=r'n must be an integer in \[1, 3\]'):
            check_integer('n', wrong, low=1, high=3)
    for wrong in (1.0, True):
        with pytest.raises(TypeError, match='n must be an integer'):
            check_integer('n', wrong)


@pytest.mark.parametrize(
    ('counts', 'message'),
    [([], 'one number per class'), ([[1.0]], 'one number per class'), ([1.0, -1.0], '>= 0'),
     ([float('nan')], 'finite'), ([0.0, 0.0], 'sum to zero')],
)
def test_counts(counts: list[float], message: str) -> None:
    assert check_counts([1, 2]).dtype == torch.float64
    with pytest.raises(ValueError, match=message):
        check_counts(counts)


def test_channels_message_names_the_usual_cause() -> None:
    check_channels(torch.zeros(2, 3, 4), 3)
    with pytest.raises(ValueError, match=r'18 entries but the logits have 19 channels .*reduce_zero_label'):
        check_channels(torch.zeros(2, 19), 18, owner='BalancedSoftmaxLoss')


def test_target_values_are_listed_and_a_background_value_can_be_allowed() -> None:
    pred = torch.zeros(1, 3, 2, 2)
    target = torch.tensor([[[0, 3], [255, 2]]])
    check_index_target(pred, target, 255, values=4)
    with pytest.raises(ValueError, match=r'\[3\], outside \[0, 3\)'):
        check_index_target(pred, target, 255)
    with pytest.raises(ValueError, match=r'\[-7\]'):
        check_index_target(pred, torch.full((1, 2, 2), -7), 255)


def test_ignore_index_inside_the_classes_is_honoured() -> None:
    safe, valid = split_ignored(torch.zeros(4, 3), torch.tensor([0, 1, 2, 0]), 0)
    assert valid.tolist() == [False, True, True, False] and safe.tolist() == [0, 1, 2, 0]


def test_narrow_integer_types_are_fine_and_others_are_not() -> None:
    pred = torch.zeros(2, 3)
    for dtype in (torch.uint8, torch.int16, torch.int32):
        safe, _ = split_ignored(pred, torch.tensor([1, 2], dtype=dtype), 255)
        assert safe.dtype == torch.int64
    for wrong in (torch.tensor([1.0, 2.0]), torch.tensor([True, False])):
        with pytest.raises(TypeError, match='integer class indices'):
            split_ignored(pred, wrong, 255)


def test_debug_switch_is_read_for_devices_only(monkeypatch: pytest.MonkeyPatch) -> None:
    meta = torch.zeros(2, 3, device='meta')
    check_index_target(meta, torch.full((2,), 9, device='meta'), 255)  # values on a device are not looked at


def test_limits_are_told_in_words_where_one_side_is_open() -> None:
    with pytest.raises(ValueError, match=r'n must be an integer of at least 1, but got 0'):
        check_integer('n', 0, low=1)
    with pytest.raises(ValueError, match=r'n must be an integer of at most 3, but got 4'):
        check_integer('n', 4, high=3)
    with pytest.raises(ValueError, match=r'p must be a finite number above 0, but got 0'):
        check_number('p', 0, low=0, low_open=True)
    with pytest.raises(ValueError, match=r'p must be a finite number, but got nan'):
        check_number('p', float('nan'))
