"""Repeat-factor sampling: hand example, unbiased rounding, edges."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.sampling import (
    RepeatFactorStream,
    class_frequencies,
    repeat_factors,
    round_stochastically,
)
from imbdense.core.stats import ImageClassTable

# 8 images: class 0 in all but one, class 1 in two (4 objects), class 2 in one (5 objects), class 3 nowhere
HAND = ImageClassTable.from_dense(
    [[2, 0, 0, 0], [1, 1, 0, 0], [1, 3, 0, 0], [1, 0, 5, 0], [1, 0, 0, 0], [1, 0, 0, 0], [4, 0, 0, 0], [0, 0, 0, 0]]
)


def test_hand_example_of_frequencies_and_factors():
    assert class_frequencies(HAND, 'image').tolist() == [7 / 8, 2 / 8, 1 / 8, 0]
    assert class_frequencies(HAND, 'instance').tolist() == [11 / 20, 4 / 20, 5 / 20, 0]
    assert np.allclose(class_frequencies(HAND, 'geometric')[2], np.sqrt(1 / 8 * 5 / 20))
    assert repeat_factors(HAND, 0.5).tolist() == pytest.approx([1, 2**0.5, 2**0.5, 2, 1, 1, 1, 1])
    assert repeat_factors(HAND, 0.25, 'instance').tolist() == pytest.approx([1, 1.25**0.5, 1.25**0.5, 1, 1, 1, 1, 1])


def test_auto_threshold_is_the_median_of_classes_that_occur():
    assert (repeat_factors(HAND, 'auto') == repeat_factors(HAND, 2 / 8)).all()


def test_equals_the_slow_definition():
    rng = np.random.default_rng(0)
    dense = (rng.random((60, 7)) < [0.9, 0.5, 0.3, 0.1, 0.05, 0.02, 0.0]) * rng.integers(1, 9, (60, 7))
    table = ImageClassTable.from_dense(dense)
    slow = []
    for row in dense:
        factor = 1.0
        for klass in np.flatnonzero(row):
            factor = max(factor, (0.3 / (np.count_nonzero(dense[:, klass]) / 60)) ** 0.5)
        slow.append(factor)
    assert np.allclose(repeat_factors(table, 0.3), slow)


def test_mean_draws_over_200_epochs_are_the_factors():
    """Fails when factors are rounded up, as mmengine's ClassBalancedDataset does."""
    factors = np.ones(200)
    factors[:20] = 1.01
    factors[20:40] = 3.4
    factors[40] = 12.75
    factors[41] += np.ceil(factors.sum()) - factors.sum()  # a whole sum: the scaling to a whole length is not seen here
    stream = RepeatFactorStream(factors)
    epochs = 200
    counts = np.stack([np.bincount(stream.epoch(0, epoch), minlength=200) for epoch in range(epochs)])
    fraction = factors % 1
    sigma = np.sqrt(np.maximum(fraction * (1 - fraction), 1e-12) / epochs)
    z = np.abs(counts.mean(0) - factors) / sigma
    assert (z[fraction == 0] == 0).all()
    # 42 uncertain images: 3 sigma for each would fail by chance; the joint chi-square is the same bar for all
    uncertain = z[fraction > 0]
    assert (uncertain < 4).all() and (uncertain**2).mean() < 1.8
    assert np.abs(counts[:, :20].mean() - 1.01) < 3 * np.sqrt(0.01 * 0.99 / (20 * epochs))
    assert counts[:, :20].mean() < 1.1 < np.ceil(1.01)


def test_rounding_keeps_the_sum_and_differs_by_less_than_one():
    rng = np.random.default_rng(1)
    rates = rng.random(1000) * 3
    rates[-1] += np.ceil(rates.sum()) - rates.sum()
    for _ in range(20):
        rounded = round_stochastically(rates, rng)
        assert abs(int(rounded.sum()) - rates.sum()) < 1 + 1e-6
        assert (np.abs(rounded - rates) < 1).all()


def test_length_is_the_same_each_epoch_and_rates_sum_to_it():
    stream = RepeatFactorStream(repeat_factors(HAND, 0.5))
    assert stream.length == int(np.ceil(repeat_factors(HAND, 0.5).sum()))
    assert {stream.epoch(0, epoch).size for epoch in range(50)} == {stream.length}
    assert stream.draw_rates().sum() == pytest.approx(stream.length)


def test_scaling_the_data_set_does_not_change_the_factors():
    twice = ImageClassTable.from_dense(np.repeat([[1, 0], [1, 1], [1, 0], [1, 0]], 5, axis=0))
    once = ImageClassTable.from_dense([[1, 0], [1, 1], [1, 0], [1, 0]])
    assert (repeat_factors(twice, 0.5)[::5] == repeat_factors(once, 0.5)).all()


def test_edges():
    assert RepeatFactorStream(repeat_factors(ImageClassTable.from_lists([[0, 0]], 3))).epoch(0, 0).tolist() == [0]
    background = ImageClassTable.from_lists([[], [], []], 3)
    assert repeat_factors(background).tolist() == [1, 1, 1]
    assert sorted(RepeatFactorStream(repeat_factors(background)).epoch(0, 0)) == [0, 1, 2]
    with pytest.raises(ValueError, match='no image'):
        RepeatFactorStream(np.empty(0))
    with pytest.raises(ValueError, match='>= 1'):
        RepeatFactorStream(np.array([1.0, 0.5]))
    with pytest.raises(ValueError, match='threshold'):
        repeat_factors(HAND, 0.0)
    with pytest.raises(ValueError, match='frequency must be one of'):
        repeat_factors(HAND, 0.1, 'pixels')
