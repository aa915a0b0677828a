"""The kinds of change of the Alpine maps, rule by rule."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.metrics.alpine_transitions import KINDS, NO_DATA, alpine_transition_lut

LUT = alpine_transition_lut()


@pytest.mark.parametrize(
    ('before', 'after', 'kind'),
    [
        (5, 5, 'none'), (1, 5, 'other'), (12, 19, 'clearcut'), (3, 19, 'clearcut'), (19, 19, 'none'),
        (19, 7, 'early establishment'), (19, 9, 'other'), (6, 8, 'progression'), (10, 14, 'progression'),
        (9, 18, 'progression'), (13, 15, 'progression'), (6, 11, 'other'), (7, 18, 'other'), (6, 7, 'other'),
        (8, 6, 'setback'), (18, 6, 'setback'), (11, 10, 'setback'), (17, 9, 'setback'), (16, 12, 'setback'),
        (9, 8, 'setback'), (12, 11, 'mature density loss'), (14, 13, 'mature density loss'),
        (12, 13, 'mature density loss'), (18, 15, 'old-growth density loss'), (8, 9, 'density gain'),
        (11, 14, 'density gain'), (15, 16, 'density gain'), (9, 10, 'other'), (10, 8, 'other'), (16, 18, 'other'),
        (20, 6, 'early establishment'), (22, 17, 'early establishment'), (21, 23, 'other'), (12, 21, 'other'),
    ],
)  # fmt: skip
def test_rules(before: int, after: int, kind: str) -> None:
    assert KINDS[LUT[before, after]] == kind


def test_shape_no_data_and_range() -> None:
    assert LUT.shape == (24, 24) and len(KINDS) == 9
    assert (LUT[0] == NO_DATA).all() and (LUT[:, 0] == NO_DATA).all()
    assert (LUT[1:, 1:] <= 8).all() and (np.diag(LUT)[1:] == 0).all()
    assert set(np.unique(LUT[1:, 1:])) == set(range(9))
    off = LUT[1:, 1:][~np.eye(23, dtype=bool)]
    assert (off > 0).all(), 'any difference is a change'
