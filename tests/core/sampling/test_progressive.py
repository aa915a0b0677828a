"""Square-root and progressive sampling: the class distributions of the papers, and what the epochs draw."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.sampling import ClassAwareStream, ProgressiveStream
from imbdense.core.stats import ImageClassTable

COUNTS = np.array([160, 40, 10])
CLASS_OF = np.repeat([0, 1, 2], COUNTS)
TABLE = ImageClassTable.from_dense(np.eye(3, dtype=np.int64)[CLASS_OF])


def class_shares(stream, epoch):
    """Of many seeds."""
    drawn = np.concatenate([stream.epoch(seed, epoch) for seed in range(60)])
    return np.bincount(CLASS_OF[drawn], minlength=3) / drawn.size


def test_square_root_sampling_is_proportional_to_the_root_of_the_images():
    stream = ClassAwareStream(TABLE, power=0.5, max_repeat=50)
    expected = COUNTS**0.5 / (COUNTS**0.5).sum()
    assert TABLE.expected_totals(stream.draw_rates()) / 210 == pytest.approx(expected)
    assert class_shares(stream, 0) == pytest.approx(expected, abs=0.008)


def test_power_one_draws_as_the_data_are_and_zero_equally():
    assert ClassAwareStream(TABLE, power=1.0).draw_rates() == pytest.approx(np.ones(210))
    equal = ClassAwareStream(TABLE, power=0.0, max_repeat=50).draw_rates()
    assert TABLE.expected_totals(equal) == pytest.approx([70, 70, 70])
    with pytest.raises(ValueError, match='power'):
        ClassAwareStream(TABLE, power=1.5)


@pytest.mark.parametrize('epoch', [0, 3, 7, 10, 25])
def test_progressive_follows_the_formula(epoch):
    """q_j(t) = (1 - t/T) n_j / sum n + (t/T) / C with T = 10; class-balanced from then on."""
    share = min(epoch / 10, 1.0)
    expected = (1 - share) * COUNTS / COUNTS.sum() + share / 3
    stream = ProgressiveStream(TABLE, epochs=10, max_repeat=50)
    assert class_shares(stream, epoch) == pytest.approx(expected, abs=0.008)
    assert stream.rates_at(share).sum() == pytest.approx(210)


def test_progressive_starts_with_every_image_once_and_declares_the_mean():
    stream = ProgressiveStream(TABLE, epochs=8, max_repeat=50)
    assert sorted(stream.epoch(0, 0)) == list(range(210))
    drawn = sum(np.bincount(stream.epoch(3, epoch), minlength=210) for epoch in range(8)) / 8
    assert TABLE.expected_totals(drawn) == pytest.approx(TABLE.expected_totals(stream.draw_rates()), rel=0.03)


def test_progressive_keeps_the_cap():
    stream = ProgressiveStream(TABLE, epochs=2, max_repeat=3)
    assert np.bincount(stream.epoch(0, 9)).max() <= 3


def test_several_classes_and_background_in_an_image():
    table = ImageClassTable.from_lists([[0, 1]] * 6 + [[0]] * 10 + [[]] * 4, 3)
    stream = ProgressiveStream(table, epochs=5)
    assert sorted(stream.epoch(2, 0)) == list(range(20))
    assert np.bincount(stream.epoch(2, 5), minlength=20)[16:].sum() == 4


@pytest.mark.parametrize('epochs', [0, -1, float('nan'), '3'])
def test_epochs_must_be_a_positive_number(epochs):
    with pytest.raises((ValueError, TypeError), match='epochs'):
        ProgressiveStream(TABLE, epochs=epochs)
    with pytest.raises(ValueError, match='no image'):
        ProgressiveStream(ImageClassTable.from_lists([], 2), epochs=3)
