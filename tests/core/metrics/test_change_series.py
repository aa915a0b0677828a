"""BC, SC, SCS by hand; classes without labels do not count in SC."""

from __future__ import annotations

import math

import numpy as np
import pytest

from imbdense.core.metrics.change_series import series_scores


def test_by_hand() -> None:
    binary = np.array([[70, 10], [5, 15]])
    semantic = np.array([[8, 1, 0], [2, 10, 0], [3, 1, 0]])  # class 2 is predicted, never labelled
    found = series_scores(binary, semantic)
    sc = (8 / (8 + 1 + 5) + 10 / (10 + 2 + 2)) / 2
    assert found['BC'] == pytest.approx(0.5) and found['SC'] == pytest.approx(sc)
    assert found['SCS'] == pytest.approx((0.5 + sc) / 2)


def test_edges() -> None:
    quiet = series_scores(np.array([[9, 0], [0, 0]]), np.zeros((3, 3), int))
    assert all(math.isnan(value) for value in quiet.values())
    false = series_scores(np.array([[9, 0], [2, 0]]), np.zeros((3, 3), int))
    assert false['BC'] == 0 and math.isnan(false['SC'])
    assert series_scores(np.diag([9, 4]), np.diag([1, 3])) == {'BC': 1.0, 'SC': 1.0, 'SCS': 1.0}
