"""Codes to train ids: hand example, codes that are not named, order of points."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.data.points import PointReadError
from imbdense.data.points.class_map import ClassMap, map_codes, spread_colours

MAP = ClassMap(('ground', 'thing'), ((0, 0, 0), (255, 0, 0)), {2: 0, 6: 1, 17: 1, 66: -1})


def test_codes_become_train_ids():
    assert MAP.apply(np.array([6, 2, -1, 66, 17]), owner='tile').tolist() == [1, 0, -1, -1, 1]
    assert MAP.apply(np.zeros(0, np.int64), owner='tile').shape == (0,)


def test_against_a_loop_over_points():
    rng = np.random.default_rng(0)
    table = {code: int(rng.integers(-1, 5)) for code in range(-1, 60)}
    codes = rng.integers(0, 60, 5000)
    assert map_codes(codes, table, owner='x').tolist() == [table[code] for code in codes.tolist()]


def test_codes_that_are_not_named_are_listed_with_their_counts():
    codes = np.array([2, 9, 9, 9, 202, 6])
    with pytest.raises(PointReadError, match=r'tile\.laz: .* does not name: 9 \(3 points\), 202 \(1 points\)') as error:
        MAP.apply(codes, owner='tile.laz')
    assert error.value.code == 'labels' and "unknown='ignore'" in str(error.value)
    assert MAP.apply(codes, owner='tile.laz', unknown='ignore').tolist() == [0, -1, -1, -1, -1, 1]
    with pytest.raises(ValueError, match="'error' or 'ignore'"):
        MAP.apply(codes, owner='x', unknown='drop')


def test_impossible_maps_are_refused():
    with pytest.raises(ValueError, match='2 classes need as many colours, but there are 1'):
        ClassMap(('a', 'b'), ((0, 0, 0),), {})
    with pytest.raises(ValueError, match=r'\{3: 1\}'):
        ClassMap(('a',), ((0, 0, 0),), {3: 1})


def test_colours_differ_and_are_always_the_same():
    assert len(set(spread_colours(200))) == 200 and spread_colours(200)[:5] == spread_colours(5)
