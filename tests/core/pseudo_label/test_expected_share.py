"""Thresholds relative to how often each class is expected."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.pseudo_label import ExpectedShareThreshold, expected_share_thresholds


def test_by_hand() -> None:
    """Ratios 1, .5, .1 of the best: b / (2 - b) = 1, 1/3, .0526, the last two floored at .5."""
    share, expected = torch.tensor([0.6, 0.15, 0.01]), torch.tensor([0.6, 0.3, 0.1])
    assert expected_share_thresholds(share, expected).tolist() == pytest.approx([0.95, 0.475, 0.475])
    without_floor = expected_share_thresholds(share, expected, floor=0.0)
    assert without_floor.tolist() == pytest.approx([0.95, 0.3167, 0.05], abs=1e-4)


def test_a_rare_class_found_as_often_as_expected_keeps_the_full_threshold() -> None:
    prior = torch.tensor([0.9, 0.09, 0.01])
    assert expected_share_thresholds(0.8 * prior, prior).tolist() == pytest.approx([0.95] * 3)


def test_nothing_confident_and_nothing_expected() -> None:
    assert expected_share_thresholds(torch.zeros(2), torch.full((2,), 0.5)).tolist() == pytest.approx([0.95, 0.95])
    limits = expected_share_thresholds(torch.tensor([0.5, 0.1]), torch.tensor([1.0, 0.0]))
    assert limits.tolist() == pytest.approx([0.95, 0.95])


def test_an_estimate_changes_what_is_expected() -> None:
    rule = ExpectedShareThreshold(2, momentum=0.0)
    rule(torch.tensor([[0.99, 0.01]] * 9 + [[0.01, 0.99]]))
    assert rule.thresholds().tolist() == pytest.approx([0.95, 0.475])  # expected alike
    rule.target.set_prior([9, 1])
    assert rule.thresholds().tolist() == pytest.approx([0.95, 0.95])
    rule.target.set_prior([2, 1])
    beta = (0.1 / (1 / 3)) / (0.9 / (2 / 3))
    assert rule.thresholds()[1].item() == pytest.approx(0.95 * max(beta / (2 - beta), 0.5))
