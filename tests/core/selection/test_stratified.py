"""Random and stratified choice."""

from __future__ import annotations

import numpy as np

from imbdense.core.selection import RandomSelector, StratifiedSelector
from tests.helpers.selection_pools import pool_of, random_pool


def test_shares_are_equal_and_the_rarest_class_comes_first() -> None:
    """Images of one class each: 30 of class 0, 20 of class 1, 10 of class 2."""
    klass = np.repeat([0, 1, 2], [30, 20, 10])
    result = StratifiedSelector()(pool_of(np.zeros(60), klass=klass), 12)
    assert np.bincount(klass[result.images]).tolist() == [4, 4, 4]
    assert [choice.klass for choice in result.choices[:6]] == [2, 1, 0, 2, 1, 0]


def test_what_a_class_cannot_use_goes_to_the_others() -> None:
    klass = np.repeat([0, 1], [30, 2])
    result = StratifiedSelector()(pool_of(np.zeros(32), klass=klass), 10)
    assert np.bincount(klass[result.images]).tolist() == [8, 2] and not result.notes


def test_labelled_images_count() -> None:
    klass = np.repeat([0, 1], [10, 10])
    result = StratifiedSelector()(pool_of(np.zeros(20), klass=klass), 4, selected=[10, 11, 12])
    assert klass[result.images].tolist() == [0, 0, 0, 0]


def test_an_image_counts_for_all_its_classes() -> None:
    """Image 0 shows both classes, so after it class 0 and 1 have one each."""
    pool = pool_of(np.zeros(5), [0, 0, 1, 2, 3], [0, 1, 0, 0, 0])
    result = StratifiedSelector()(pool, 2)
    assert result.images[0] == 0 and [choice.klass for choice in result.choices] == [1, 0]


def test_unknown_classes_are_left_to_the_fill() -> None:
    pool = pool_of(np.zeros(6), klass=[-1, -1, -1, 0, -1, -1])
    result = StratifiedSelector()(pool, 3)
    assert result.images[0] == 3 and [choice.rule for choice in result.choices] == ['share', 'fill', 'fill']
    assert '2 of 3 images are random' in result.notes[0]


def test_random_is_even() -> None:
    pool = random_pool(images=10)
    drawn = np.concatenate([RandomSelector()(pool, 3, selected=[4], seed=seed).images for seed in range(900)])
    share = np.bincount(drawn, minlength=10) / 900
    assert share[4] == 0 and np.abs(np.delete(share, 4) - 3 / 9).max() < 0.06
