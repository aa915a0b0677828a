"""Subsets of a chosen imbalance: profiles by hand, targets reached, last images kept, edges."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.sampling import balanced_subset, imbalance_profile, imbalanced_subset
from imbdense.core.stats import ImageClassTable


def one_class_each(*images: int) -> ImageClassTable:
    return ImageClassTable.from_dense(np.eye(len(images), dtype=np.int64)[np.repeat(np.arange(len(images)), images)])


def co_occurring(seed: int = 0, images: int = 2000) -> ImageClassTable:
    rng = np.random.default_rng(seed)
    present = rng.random((images, 5)) < [0.6, 0.5, 0.4, 0.3, 0.2]
    return ImageClassTable.from_dense(present * rng.integers(1, 300, (images, 5)))


def test_profiles_by_hand():
    """K = 4, rho = 10, n = 100: step 100, 100, 10, 10; linear 100, 70, 40, 10."""
    assert 100 * imbalance_profile('step', 4, 10, 0.5) == pytest.approx([100, 100, 10, 10])
    assert 100 * imbalance_profile('linear', 4, 10) == pytest.approx([100, 70, 40, 10])
    assert 100 * imbalance_profile('exp', 3, 100) == pytest.approx([100, 10, 1])
    assert imbalance_profile('step', 4, 10, 0.0).tolist() == [1, 1, 1, 1]
    assert imbalance_profile('step', 4, 10, 1.0).tolist() == [0.1] * 4
    assert imbalance_profile('linear', 1, 10).tolist() == [1]


@pytest.mark.parametrize(
    ('kind', 'expected'), [('step', [100, 100, 10, 10]), ('linear', [100, 70, 40, 10]), ('exp', [100, 46, 22, 10])]
)
def test_one_class_per_image_reaches_the_targets(kind, expected):
    subset = imbalanced_subset(one_class_each(100, 100, 100, 100), kind, 10, 0.5, tol=0, order=[0, 1, 2, 3])
    assert subset.counts == pytest.approx(expected, abs=1)
    assert (subset.counts <= subset.targets + 1e-9).all() and subset.images.size == subset.counts.sum()


def test_order_says_which_classes_become_rare():
    subset = imbalanced_subset(one_class_each(100, 100, 100, 100), 'step', 10, 0.25, order=[3, 1, 0, 2], tol=0)
    assert subset.counts.tolist() == [100, 100, 10, 100]


@pytest.mark.parametrize('kind', ['step', 'linear', 'exp'])
def test_co_occurring_classes_stay_below_their_targets(kind):
    table = co_occurring()
    subset = imbalanced_subset(table, kind, 8, 0.4, tol=0.1, seed=3)
    assert (subset.counts <= 1.1 * subset.targets).all()
    assert (subset.counts == table.subset(subset.images).totals).all() and (np.diff(subset.images) > 0).all()
    assert (subset.counts >= 0.6 * subset.targets).all(), 'not much more is removed than asked for'
    again = imbalanced_subset(table, kind, 8, 0.4, tol=0.1, seed=3)
    other = imbalanced_subset(table, kind, 8, 0.4, tol=0.1, seed=4)
    assert (again.images == subset.images).all() and other.images.tolist() != subset.images.tolist()


def test_last_image_of_a_class_stays_and_the_target_is_missed_openly():
    table = ImageClassTable.from_dense([[900, 1, 0], [900, 0, 1], [5, 5, 0], [5, 0, 5]])
    subset = imbalanced_subset(table, 'step', 1, n_max=4, tol=0)
    assert (table.subset(subset.images).image_counts > 0).all()
    assert (subset.counts > subset.targets).any()
    assert 'achieved / wanted' in subset.describe(['a', 'b', 'c'])


def test_a_class_that_is_not_named_has_no_target():
    dense = np.zeros((60, 3), np.int64)
    dense[:, 0], dense[:40, 1], dense[20:, 2] = 1000, 5, 5
    subset = imbalanced_subset(ImageClassTable.from_dense(dense), 'step', 4, 0.5, order=[1, 2], tol=0)
    assert np.isinf(subset.targets[0])
    # 30 of the 40 images of class 2 must go; the 20 without class 1 go first.
    assert subset.counts[1:].tolist() == [150, 50]


def test_balanced_subset_is_more_even_than_chance_and_of_the_size_asked_for():
    table = co_occurring(1)
    subset = balanced_subset(table, 400)
    random = table.subset(np.random.default_rng(0).permutation(2000)[:400]).totals
    assert subset.images.size == 400 == np.unique(subset.images).size
    assert subset.counts.max() / subset.counts.min() < 1.2 < random.max() / random.min()
    assert (balanced_subset(table, 400).images == subset.images).all()


def test_balanced_subset_uses_what_there_is():
    table = one_class_each(50, 20, 3)
    assert balanced_subset(table, 30).counts.tolist() in ([14, 13, 3], [13, 14, 3])
    assert balanced_subset(table, 73).counts.tolist() == [50, 20, 3]
    background = ImageClassTable.from_lists([[], [], [0]], 2)
    assert balanced_subset(background, 2).counts.tolist() == [1, 0]
    only = balanced_subset(table, 10, classes=[1, 2]).counts.tolist()
    assert only == [0, 7, 3]


@pytest.mark.parametrize(
    ('call', 'words'),
    [
        (lambda t: imbalanced_subset(t, 'steps', 10), 'kind'),
        (lambda t: imbalanced_subset(t, 'step', 0.5), 'rho'),
        (lambda t: imbalanced_subset(t, 'step', 2, mu=2), 'mu'),
        (lambda t: imbalanced_subset(t, 'step', 2, tol=-1), 'tol'),
        (lambda t: imbalanced_subset(t, 'step', 2, order=[0, 0]), 'different indices'),
        (lambda t: imbalanced_subset(t, 'step', 2, order=[0, 3]), r'without an image: \[3\]'),
        (lambda t: balanced_subset(t, 0), 'num_images'),
        (lambda t: balanced_subset(t, 99), 'num_images'),
    ],
)
def test_wrong_arguments_are_named(call, words):
    with pytest.raises((ValueError, TypeError), match=words):
        call(ImageClassTable.from_lists([[0], [1], [2]], 4))
