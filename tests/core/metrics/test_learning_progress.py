"""When a class is learned, on curves made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from imbdense.core.metrics.learning_progress import loss_at_equal_head_loss, steps_to_reach


def test_first_step_at_the_threshold() -> None:
    recall = [[0.1, 0.0, math.nan], [0.5, 0.2, math.nan], [0.4, 0.49, math.nan], [0.9, 0.4, math.nan]]
    assert steps_to_reach([0, 10, 20, 30], recall, 0.5) == [10, None, None]
    assert steps_to_reach([7], [[1.0]], 1.0) == [7] and steps_to_reach([], np.zeros((0, 2)), 0.5) == [None, None]


def test_tail_loss_when_the_head_is_equally_good() -> None:
    """Head 2, 1, .5, 1: .75 lies half way between steps 1 and 2, where the tail goes from 4 to 3."""
    head, tail = [2.0, 1.0, 0.5, 1.0], [5.0, 4.0, 3.0, 0.0]
    assert loss_at_equal_head_loss(head, tail, [3.0, 1.0, 0.75, 0.1]) == [None, 4.0, 3.5, None]
    assert loss_at_equal_head_loss(head, [5.0, 4.0, math.nan, 0.0], [0.75]) == [None]


def test_the_level_does_not_depend_on_speed() -> None:
    """The same path in fewer, longer steps."""
    fast, slow = [4.0, 2.0, 0.0], [4.0, 3.0, 2.0, 1.0, 0.0]
    assert loss_at_equal_head_loss(fast, fast, [1.0, 0.5]) == loss_at_equal_head_loss(slow, slow, [1.0, 0.5])


def test_shapes() -> None:
    with pytest.raises(ValueError, match=r'shape \(2, K\)'):
        steps_to_reach([0, 1], [[0.0]], 0.5)
