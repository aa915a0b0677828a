"""Over- and under-sampling of images: hand examples, what is reached, what is never dropped, cost."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.sampling import (
    RateStream,
    RepeatFactorStream,
    keep_rates,
    oversampling_factors,
    sampling_effect,
)
from imbdense.core.stats import ImageClassTable


def rare_in_two_percent(seed: int = 0) -> ImageClassTable:
    """500 images full of background, half with a frequent object, 2 % with a small rare one."""
    rng = np.random.default_rng(seed)
    dense = np.zeros((500, 3), np.int64)
    dense[:, 0] = rng.integers(3000, 5000, 500)
    dense[::2, 1] = rng.integers(200, 900, 250)
    dense[rng.choice(500, 10, replace=False), 2] = 40
    return ImageClassTable.from_dense(dense)


def one_class_each(*images: int) -> ImageClassTable:
    """Images of one class with an amount of 10 each."""
    classes = np.repeat(np.arange(len(images)), images)
    return ImageClassTable.from_dense(10 * np.eye(len(images), dtype=np.int64)[classes])


def slow_factors(dense: np.ndarray, level: float, cap: float) -> np.ndarray:
    """The documented updates, image by image."""
    totals, q = dense.sum(0).astype(float), np.ones(len(dense))
    for _ in range(200):
        excess = np.log(q @ dense) - (1 - level) * np.log(totals)
        lack, drawn = excess.mean() - excess, q @ dense
        new = q.copy()
        for i, row in enumerate(dense):
            share = row / drawn
            if share.sum() > 0:
                new[i] = np.clip(q[i] * np.exp(0.5 * (share / share.sum()) @ lack), 1, cap)
        done = np.abs(np.log(new / q)).max() < 1e-3
        q = new
        if done:
            break
    return q


def test_one_class_per_image_is_brought_to_the_largest():
    """Buda et al.: every class as often as the largest one."""
    factors = oversampling_factors(one_class_each(40, 10, 4))
    assert factors[:40] == pytest.approx(1, abs=1e-9)
    assert factors[40:50] == pytest.approx(4, rel=0.01) and factors[50:] == pytest.approx(10, rel=0.01)
    half = oversampling_factors(one_class_each(40, 10, 4), level=0.5)
    assert half[40:50] == pytest.approx(2, rel=0.01) and half[50:] == pytest.approx(10**0.5, rel=0.01)


@pytest.mark.parametrize(('level', 'cap'), [(1.0, 50.0), (0.6, 50.0), (1.0, 4.0)])
def test_equals_the_slow_form(level, cap):
    rng = np.random.default_rng(1)
    dense = (rng.random((60, 4)) < [0.9, 0.5, 0.2, 0.1]) * rng.integers(1, 1000, (60, 4))
    dense[7] = 0
    factors = oversampling_factors(ImageClassTable.from_dense(dense), level, cap)
    assert factors == pytest.approx(slow_factors(dense, level, cap), rel=1e-9)
    assert factors.min() >= 1 and factors.max() <= cap and factors[7] == 1


def test_rare_class_in_two_percent_of_the_images_reaches_a_fifth_of_the_ratio():
    table = rare_in_two_percent()
    stream = RepeatFactorStream(oversampling_factors(table))
    effect = sampling_effect(table, stream.draw_rates())
    assert effect.ratio_before > 1000
    assert effect.ratio_after <= effect.ratio_before / 5
    drawn = sum(np.bincount(stream.epoch(0, epoch), minlength=500) for epoch in range(20)) / 20
    totals = table.expected_totals(drawn)
    assert totals.max() / totals.min() == pytest.approx(effect.ratio_after, rel=0.02)


def test_nothing_to_balance():
    assert (oversampling_factors(one_class_each(5, 5, 5)) == 1).all()
    assert (oversampling_factors(ImageClassTable.from_lists([[0], []], 3)) == 1).all()
    assert (oversampling_factors(ImageClassTable.from_lists([[], []], 3)) == 1).all()
    assert (oversampling_factors(rare_in_two_percent(), level=0) == 1).all()
    assert (oversampling_factors(one_class_each(40, 4), max_repeat=1) == 1).all()
    assert oversampling_factors(ImageClassTable.from_lists([], 3)).size == 0


def test_renaming_the_classes_changes_nothing():
    dense = np.random.default_rng(3).integers(0, 50, (80, 4)) * (np.random.default_rng(4).random((80, 4)) < 0.4)
    assert oversampling_factors(ImageClassTable.from_dense(dense[:, ::-1])) == pytest.approx(
        oversampling_factors(ImageClassTable.from_dense(dense))
    )


@pytest.mark.parametrize('wrong', [{'level': 1.5}, {'level': -1}, {'max_repeat': 0.5}, {'max_repeat': float('inf')}])
def test_wrong_arguments_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        oversampling_factors(one_class_each(2, 1), **wrong)


# Under-sampling ---------------------------------------------------------------------------------------------------


def test_keep_rates_hand_example():
    """n = (1000, 10), level .5: n* = 100, keep (.1, 1)."""
    table = ImageClassTable.from_dense([[500, 0], [500, 0], [0, 10]])
    assert keep_rates(table, 0.5) == pytest.approx([0.1, 0.1, 1])
    assert keep_rates(table, 1.0) == pytest.approx([0.01, 0.01, 1])
    assert (keep_rates(table, 0.0) == 1).all()


@pytest.mark.parametrize('level', [0.25, 0.5, 1.0])
def test_images_of_the_rarest_class_are_in_every_epoch(level):
    table = rare_in_two_percent(2)
    stream = RateStream(keep_rates(table, level))
    rare = set(table.images_of(2).tolist())
    for epoch in range(30):
        drawn = stream.epoch(5, epoch)
        assert rare <= set(drawn.tolist())
    effect = sampling_effect(table, stream.draw_rates())
    assert effect.ratio_after < effect.ratio_before and stream.length < 500


def test_images_without_a_label_are_kept_and_an_unseen_class_counts_nothing():
    table = ImageClassTable.from_lists([[], [0], [0], [0], [1]], 4)
    assert keep_rates(table) == pytest.approx([1, 1 / 3, 1 / 3, 1 / 3, 1])
    assert keep_rates(ImageClassTable.from_lists([[], []], 2)).tolist() == [1, 1]
    with pytest.raises(ValueError, match='level'):
        keep_rates(table, 1.1)


# What a sampler does to the classes, in words and numbers -----------------------------------------------------------


def test_effect_names_the_classes_that_change_most():
    table = one_class_each(90, 9, 1)
    effect = sampling_effect(table, np.repeat([1.0, 5.0, 30.0], [90, 9, 1]))
    assert effect.ratio_before == 90 and effect.ratio_after == pytest.approx(3)
    assert effect.factors == pytest.approx(np.array([1, 5, 30]) / 1.65)
    text = effect.describe(['field', 'road', 'mast'], shown=2)
    assert '90 -> 3' in text and text.index('mast x18.2') < text.index('road x3.03') and 'and 1 more' in text
    assert 'field' not in text


def test_effect_of_a_class_without_images_and_of_no_class_at_all():
    effect = sampling_effect(ImageClassTable.from_lists([[0], [0], [2]], 4), np.ones(3))
    assert effect.ratio_before == effect.ratio_after == 2 and np.isnan(effect.factors[[1, 3]]).all()
    nothing = sampling_effect(ImageClassTable.from_lists([[], []], 2), np.ones(2))
    assert nothing.ratio_before == nothing.ratio_after == 1
    assert 'x' not in nothing.describe(['a', 'b']).split('draw:')[1]


def test_hundred_thousand_images_of_150_classes():
    """Ten classes per image (1.3 s of CPU time); the epoch grows, or shrinks, as it should."""
    rng = np.random.default_rng(0)
    images, per_image = 100_000, 10
    classes = np.sort((150 * rng.random((images, per_image)) ** 3).astype(np.int64), axis=1)
    first = np.concatenate([np.ones((images, 1), bool), np.diff(classes, axis=1) > 0], axis=1)
    indptr = np.concatenate([[0], np.cumsum(first.sum(1))])
    table = ImageClassTable(indptr, classes[first], rng.integers(1, 10_000, int(first.sum())), 150)
    factors, rates = oversampling_factors(table), keep_rates(table)
    assert RepeatFactorStream(factors).epoch(0, 0).size >= images >= RateStream(rates).epoch(0, 0).size > 0
