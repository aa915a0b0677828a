"""Seconds by name."""

from __future__ import annotations

import time

import pytest

from imbdense.utils.stopwatch import Stopwatch


def test_parts_add_up_also_inside_each_other_and_after_errors() -> None:
    clock = Stopwatch()
    with clock.measure('whole'):
        for _ in range(2):
            with clock.measure('part'):
                time.sleep(0.02)
    with pytest.raises(KeyError), clock.measure('part'):
        time.sleep(0.02)
        raise KeyError
    assert list(clock.seconds) == ['part', 'whole']
    assert clock.seconds['part'] >= 0.06 and clock.seconds['whole'] >= 0.04
    clock.seconds = {'predict': 4.06, 'bank': 0.2}
    assert str(clock) == 'predict 4.1 s, bank 0.2 s'
