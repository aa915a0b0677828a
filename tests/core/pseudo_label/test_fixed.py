"""Fixed thresholds, with and without an ignore band."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.pseudo_label import FixedThreshold


def test_one_threshold_per_class_by_hand() -> None:
    rule = FixedThreshold(3, [0.6, 0.5, 0.5])
    probs = torch.tensor([[0.55, 0.4, 0.05], [0.4, 0.55, 0.05], [0.6, 0.2, 0.2], [0.3, 0.2, 0.5]])
    label, weight, accepted = rule(probs)
    assert label.tolist() == [-1, 1, 0, 2] and weight.tolist() == [0, 1, 1, 1] and accepted.tolist() == [1, 1, 1]


def test_the_ignore_band_of_boxes() -> None:
    rule = FixedThreshold(3, [0.6, 0.5, 0.5], negative=[0.2, 0.2, 0.3])
    scores = torch.tensor([0.6, 0.59, 0.2, 0.19, 0.5, 0.29, 0.3])
    labels = torch.tensor([0, 0, 0, 0, 1, 2, 2])
    assert rule.select(scores, labels).tolist() == [1, -1, -1, 0, 1, 0, -1]


def test_without_a_band_what_is_not_accepted_is_dropped() -> None:
    assert FixedThreshold(2, 0.5).select(torch.tensor([0.5, 0.49]), torch.tensor([0, 1])).tolist() == [1, 0]


def test_half_the_threshold_as_band() -> None:
    rule = FixedThreshold(2, [0.8, 0.4], negative='half')
    status = rule.select(torch.tensor([0.4, 0.39, 0.2, 0.19]), torch.tensor([0, 0, 1, 1]))
    assert status.tolist() == [-1, 0, -1, 0]


def test_a_negative_threshold_is_never_above_the_positive_one() -> None:
    status = FixedThreshold(2, 0.3, negative=0.5).select(torch.tensor([0.3, 0.29]), torch.tensor([0, 0]))
    assert status.tolist() == [1, 0]


def test_one_keeps_only_certainty_and_zero_everything() -> None:
    probs = torch.tensor([[1.0, 0.0], [0.999, 0.001], [0.5, 0.5]])
    assert FixedThreshold(2, 1.0)(probs).label.tolist() == [0, -1, -1]
    assert FixedThreshold(2, 0.0)(probs).accepted.sum() == 3


def test_the_ignore_index_is_the_callers() -> None:
    assert FixedThreshold(2, 1.0, ignore_index=7)(torch.full((1, 2, 2, 2), 0.5)).label.unique().tolist() == [7]


def test_nothing_is_written_into_the_callers_tensor() -> None:
    probs = torch.full((1, 2, 2, 2), 0.5)
    FixedThreshold(2, 0.9)(probs, torch.zeros(1, 2, 2, dtype=torch.bool))
    assert (probs == 0.5).all()


@pytest.mark.parametrize('given', [{'threshold': 1.5}, {'threshold': [0.5]}, {'negative': -0.1}, {'negative': 'third'}])
def test_wrong_thresholds_are_named(given: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(given))):
        FixedThreshold(2, **given)
    with pytest.raises(ValueError, match='num_classes'):
        FixedThreshold(0)
