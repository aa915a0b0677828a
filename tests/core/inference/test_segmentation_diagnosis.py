"""A model that knows the rare class but loses it to the prior, one that does not; losses at borders and in parts."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.inference import (
    PixelSample,
    main_causes,
    recall_by_border,
    recall_by_size,
    segmentation_shares,
)
from imbdense.core.inference.segmentation_diagnosis import class_margins


def sample(shift: float = 0.0, separation: float = 4.0, n: int = 6000) -> PixelSample:
    """Three classes, 90 : 9 : 1; the logit of the true class is higher by ``separation``; class 2 shifted."""
    rng = np.random.default_rng(0)
    label = rng.choice(3, n, p=[0.9, 0.09, 0.01])
    logits = rng.normal(size=(n, 3))
    logits[np.arange(n), label] += np.where(label == 2, separation, 4.0)
    logits[:, 2] += shift
    far = np.full(n, 100)
    return PixelSample(logits, label, np.ones(n), np.zeros(n, dtype=np.int64), np.full(n, 20000), far)


def test_a_shift_of_minus_five_is_named_prior() -> None:
    shares, measures = segmentation_shares(sample(shift=-5.0))
    assert measures['recall'][2] < 0.3 and measures['IoU_best_offset'][2] > 0.75
    assert main_causes(shares)[2] == 'prior' and shares['prior'][2] > 0.5
    assert measures['best_offset'][2] == pytest.approx(5.0, abs=2.0)
    assert measures['recall_balanced'][2] > measures['recall'][2]


def test_a_class_that_is_not_learned_is_named_classification() -> None:
    shares, _ = segmentation_shares(sample(separation=0.0))
    assert main_causes(shares)[2] == 'classification'


def test_shares_add_up_and_absent_classes_are_undefined() -> None:
    given = sample(shift=-2.0)
    part = given.take(given.label < 2)
    shares, measures = segmentation_shares(part)
    total = sum(shares.values())
    assert total[:2] == pytest.approx(1 - measures['IoU'][:2]) and np.isnan(total[2])


def test_lost_in_small_parts_and_at_borders() -> None:
    given = sample()
    wrong = given.logits.copy()
    rng = np.random.default_rng(1)
    lose = (given.label == 1) & (rng.random(len(given.label)) < 0.5)
    wrong[lose] = [9.0, -9.0, -9.0]
    size = np.where(lose, 50, given.size)
    small = PixelSample(wrong, given.label, given.weight, given.image, size, given.border)
    shares, _ = segmentation_shares(small)
    assert main_causes(shares)[1] == 'small'
    by_size = recall_by_size(small)
    assert by_size['small'][1] == 0.0 and by_size['large'][1] > 0.95 and np.isnan(by_size['medium'][1])
    edge = PixelSample(wrong, given.label, given.weight, given.image, given.size, np.where(lose, 1, given.border))
    shares, _ = segmentation_shares(edge)
    assert main_causes(shares)[1] == 'boundary'
    assert recall_by_border(edge)['border'][1] == 0.0 and recall_by_border(edge)['inside'][1] > 0.95


def test_weights_are_repetitions() -> None:
    given = sample(shift=-1.0, n=600)
    weight = np.where(given.label == 0, 3.0, 1.0)
    again = np.repeat(np.arange(600), weight.astype(int))
    weighted = PixelSample(given.logits, given.label, weight, given.image, given.size, given.border)
    repeated = PixelSample(*(getattr(given, name)[again] for name in PixelSample.__dataclass_fields__))
    for first, second in zip(segmentation_shares(weighted)[0].values(), segmentation_shares(repeated)[0].values()):
        assert first == pytest.approx(second, nan_ok=True)


def test_margins() -> None:
    assert class_margins(np.array([[1.0, 3.0, 2.0]]), 2).tolist() == [-1.0]
