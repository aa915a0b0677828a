"""The xView2 score by hand, and its levels that are never found or never there."""

from __future__ import annotations

import math

import numpy as np
import pytest

from imbdense.core.metrics.building_damage import xview2_scores

LOCATION = np.array([[50, 5], [3, 42]])


def damage(diagonal: list[int], missed: list[int]) -> np.ndarray:
    table = np.diag([0, *diagonal])
    table[0, 1:] += missed
    return table


def test_by_hand() -> None:
    found = xview2_scores(LOCATION, damage([8, 4, 2, 1], [2, 4, 6, 9]))
    f1 = [16 / 18, 8 / 12, 4 / 10, 2 / 11]
    dam = 4 / sum(1 / (value + 1e-6) for value in f1)
    assert found['F1_loc'] == pytest.approx(84 / 92)
    assert [found[f'F1_{level}'] for level in (1, 2, 3, 4)] == pytest.approx(f1)
    assert found['F1_dam'] == pytest.approx(dam) and found['score'] == pytest.approx(0.3 * 84 / 92 + 0.7 * dam)


def test_a_level_never_found_ruins_the_score() -> None:
    found = xview2_scores(LOCATION, damage([9, 9, 9, 0], [0, 0, 0, 5]))
    assert found['F1_4'] == 0 and found['F1_dam'] == pytest.approx(4e-6, rel=1e-3)


def test_a_level_without_labels_is_left_out() -> None:
    found = xview2_scores(LOCATION, damage([9, 9, 9, 0], [0, 0, 0, 0]))
    assert math.isnan(found['F1_4']) and found['F1_dam'] == pytest.approx(1.0, abs=1e-5)
    nothing = xview2_scores(np.array([[5, 0], [0, 0]]), np.zeros((5, 5), int))
    assert math.isnan(nothing['score'])


def test_perfect() -> None:
    found = xview2_scores(np.diag([5, 5]), damage([1, 2, 3, 4], [0] * 4))
    assert found['score'] == pytest.approx(1.0, abs=1e-5)
