"""The waterfall adds up, never goes down, and the largest part names the cause."""

from __future__ import annotations

import math

import numpy as np
import pytest

from imbdense.core.inference import main_causes, pooled, waterfall


def test_parts_add_up_to_what_is_missing() -> None:
    stages = [('a', [0.5, 0.2]), ('b', [0.4, 0.6]), ('c', [1.0, 1.0])]
    shares = waterfall(stages, [0.3, 0.2])
    assert shares['a'] == pytest.approx([0.2, 0.0])
    assert shares['b'] == pytest.approx([0.0, 0.4])  # 0.4 is below 0.5: nothing won
    assert sum(shares.values()) == pytest.approx([0.7, 0.8])


def test_main_cause_and_no_finding() -> None:
    shares = waterfall([('a', [0.5, 0.99, np.nan]), ('b', [1.0, 1.0, np.nan])], [0.3, 0.95, np.nan])
    assert main_causes(shares) == ['b', '', '']


def test_pooled_leaves_undefined_classes_out() -> None:
    shares = {'a': np.array([0.2, np.nan, 0.4])}
    assert pooled(shares, [0, 1, 2]) == {'a': pytest.approx(0.3)}
    assert math.isnan(pooled(shares, [1])['a'])
