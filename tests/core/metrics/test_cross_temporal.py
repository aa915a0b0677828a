"""Scores of train date x test date and the drops between them."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.metrics.cross_temporal import cross_temporal

HOME, AWAY = np.array([[8, 2], [0, 10]]), np.array([[5, 5], [5, 5]])


def test_scores_and_drops() -> None:
    found = cross_temporal({('2013', '2013'): HOME, ('2013', '2020'): AWAY, ('2020', '2020'): HOME})
    assert found.train == ('2013', '2020') and found.test == ('2013', '2020')
    np.testing.assert_allclose(found.scores['OA'], [[0.9, 0.5], [np.nan, 0.9]])
    np.testing.assert_allclose(found.scores['macro_iou'][0], [(8 / 10 + 10 / 12) / 2, 1 / 3])
    np.testing.assert_allclose(found.scores['macro_recall'][0], [0.9, 0.5])
    np.testing.assert_allclose(found.drops['OA'], [[0.0, 0.4], [np.nan, 0.0]])


def test_without_a_model_of_the_test_date_there_is_no_drop() -> None:
    found = cross_temporal({('2013', '2020'): AWAY})
    assert np.isnan(found.drops['OA']).all() and found.scores['OA'].shape == (1, 1)
    with pytest.raises(ValueError, match='at least one'):
        cross_temporal({})
