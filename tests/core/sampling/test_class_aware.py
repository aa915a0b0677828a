"""Class-aware sampling: equal parts, the cap, background images, edges."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.sampling import ClassAwareStream
from imbdense.core.stats import ImageClassTable


def one_class_each(*counts: int) -> ImageClassTable:
    """A table of images that hold one class each, ``counts[c]`` of class c."""
    return ImageClassTable.from_lists([[c] for c, count in enumerate(counts) for _ in range(count)], len(counts))


def draws(stream: ClassAwareStream, epochs: int = 1) -> np.ndarray:
    """(epochs, I) draws."""
    return np.stack([np.bincount(stream.epoch(0, e), minlength=stream.num_images) for e in range(epochs)])


def test_hand_example_equal_parts():
    table = one_class_each(90, 9, 1)
    per_image = draws(ClassAwareStream(table, max_repeat=100))[0]
    per_class = [per_image[:90].sum(), per_image[90:99].sum(), per_image[99]]
    assert sum(per_class) == 100 and max(per_class) - min(per_class) <= 1
    assert per_image[:90].max() == 1, 'a class takes whole passes: no image twice before every one came once'
    assert set(per_image[90:99]) <= {3, 4}


def test_cap_is_kept_and_its_rest_goes_to_the_other_classes():
    table = one_class_each(90, 9, 1)
    per_image = draws(ClassAwareStream(table, max_repeat=3), 20)
    assert per_image.max() <= 3 and (per_image.sum(1) == 100).all()
    assert (per_image[:, 99] == 3).all(), 'the rarest class uses its cap fully'
    assert (per_image[:, 90:99].sum(1) == 27).all() and (per_image[:, :90].sum(1) == 70).all()


def test_cap_counts_draws_through_all_classes_of_an_image():
    table = ImageClassTable.from_lists([[0, 1, 2]] + [[0]] * 50, 3)
    assert (draws(ClassAwareStream(table, max_repeat=4), 10)[:, 0] == 4).all()


def test_background_share_natural_given_and_impossible():
    table = ImageClassTable.from_lists([[]] * 30 + [[0]] * 60 + [[1]] * 10, 2)
    natural = draws(ClassAwareStream(table), 10)
    assert (natural[:, :30].sum(1) == 30).all()
    assert (draws(ClassAwareStream(table, background_share=0), 5)[:, :30] == 0).all()
    assert (draws(ClassAwareStream(table, background_share=0.5), 5)[:, :30].sum(1) == 50).all()
    none_there = ClassAwareStream(one_class_each(5, 5), background_share=0.5)
    assert none_there.epoch(0, 0).size == 10


def test_rates_are_the_mean_of_the_draws():
    rng = np.random.default_rng(0)
    dense = rng.random((120, 6)) < [0.9, 0.4, 0.2, 0.08, 0.03, 0.0]
    dense[:15] = False
    table = ImageClassTable.from_dense(dense)
    for stream in (ClassAwareStream(table, max_repeat=50), ClassAwareStream(table, max_repeat=3)):
        counts = draws(stream, 400)
        rates = stream.draw_rates()
        assert rates.sum() == pytest.approx(120) and rates.max() <= stream.max_repeat + 1e-9
        error = np.abs(counts.mean(0) - rates)
        sigma = counts.std(0) / 20 + 1e-9
        assert (error < 4.5 * sigma + (0.2 if stream.max_repeat == 3 else 0)).all()
        assert np.allclose(table.expected_totals(rates), counts.mean(0) @ dense, rtol=0.05)


def test_each_class_is_spread_over_the_epoch():
    table = one_class_each(400, 40, 4)
    epoch = ClassAwareStream(table, max_repeat=200).epoch(0, 0)
    klass = np.digitize(epoch, [400, 440])
    for window in range(0, 440, 44):
        assert np.bincount(klass[window : window + 44], minlength=3).min() >= 10


def test_absent_class_single_image_and_all_background():
    stream = ClassAwareStream(ImageClassTable.from_lists([[0], [0], [2]], 4))
    assert stream.absent_classes.tolist() == [1, 3]
    assert ClassAwareStream(ImageClassTable.from_lists([[1]], 2)).epoch(0, 0).tolist() == [0]
    background = ClassAwareStream(ImageClassTable.from_lists([[], [], []], 2))
    assert sorted(background.epoch(0, 0)) == [0, 1, 2]
    assert background.draw_rates().tolist() == [1, 1, 1]
    no_share = ClassAwareStream(ImageClassTable.from_lists([[], [], []], 2), background_share=0)
    assert sorted(no_share.epoch(0, 0)) == [0, 1, 2]
    with pytest.raises(ValueError, match='no image'):
        ClassAwareStream(ImageClassTable.from_lists([], 2))


def test_longer_than_the_cap_allows_is_refused():
    with pytest.raises(ValueError, match='max_repeat'):
        ClassAwareStream(one_class_each(3, 3), length=61, max_repeat=10)
    assert draws(ClassAwareStream(one_class_each(3, 3), length=60, max_repeat=10))[0].tolist() == [10] * 6


def test_renaming_the_classes_keeps_the_rates():
    dense = np.random.default_rng(2).random((80, 4)) < [0.8, 0.3, 0.1, 0.05]
    swapped = ClassAwareStream(ImageClassTable.from_dense(dense[:, ::-1])).draw_rates()
    assert np.allclose(ClassAwareStream(ImageClassTable.from_dense(dense)).draw_rates(), swapped)
