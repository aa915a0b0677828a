"""Draws of labelled images that leave no class out."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.sampling import draw_labelled
from imbdense.core.stats import ImageClassTable

TABLE = ImageClassTable.from_lists([[0]] * 18 + [[0, 1]] * 2 + [[]], 3)
"""Class 1 is in two of 21 images, class 2 in none."""


def test_every_class_that_exists_is_drawn():
    for seed in range(20):
        images = draw_labelled(TABLE, 3, seed)
        assert images.dtype == np.int64 and len(set(images.tolist())) == 3 and (np.diff(images) > 0).all()
        assert set(images.tolist()) & {18, 19}


def test_uniform_among_the_complete_draws():
    table = ImageClassTable.from_lists([[0], [0], [0, 1], [1]], 2)
    complete = [(0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]  # every pair but (0, 1)
    found = [tuple(draw_labelled(table, 2, seed).tolist()) for seed in range(3000)]
    assert set(found) == set(complete)
    assert min(found.count(pair) for pair in complete) > 3000 / 5 * 0.85


def test_seed_decides():
    draws = {tuple(draw_labelled(TABLE, 5, seed).tolist()) for seed in range(10)}
    assert len(draws) > 5 and np.array_equal(draw_labelled(TABLE, 5, 1), draw_labelled(TABLE, 5, 1))
    assert np.array_equal(draw_labelled(TABLE, len(TABLE), 0), np.arange(len(TABLE)))


def test_impossible_draws_name_the_class():
    table = ImageClassTable.from_lists([[0], [1], [2]], 3)
    with pytest.raises(ValueError, match=r'class .* was missing most often .*Raise num'):
        draw_labelled(table, 2, 0)
    with pytest.raises(ValueError, match='num'):
        draw_labelled(table, 4, 0)
