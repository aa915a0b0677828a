"""CBST and the soft labels of LRENT."""

from __future__ import annotations

import math

import pytest
import torch

from imbdense.core.pseudo_label import ClassBalancedThreshold, class_balanced_labels, lrent_soft_labels
from tests.core.pseudo_label.rules import draw_probs


def test_the_label_is_the_class_most_confident_for_its_class() -> None:
    label, kept = class_balanced_labels(torch.tensor([[0.7, 0.3]]), torch.tensor([0.8, 0.25]))
    assert label.item() == 1 and kept.item()
    label, kept = class_balanced_labels(torch.tensor([[0.7, 0.2, 0.1]]), torch.tensor([0.8, 0.25, 0.9]))
    assert label.item() == 0 and not kept.item()


def test_exactly_one_is_kept() -> None:
    assert class_balanced_labels(torch.tensor([[0.75, 0.25]]), torch.tensor([0.75, 0.9]))[1].item()


def test_a_round_by_hand() -> None:
    rule = ClassBalancedThreshold(2, start=0.4, end=0.4, round_steps=None)
    rule.observe(torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5]), torch.zeros(5, dtype=torch.int64))
    rule.observe(torch.tensor([0.7, 0.35, 0.3, 0.2, 0.1]), torch.ones(5, dtype=torch.int64))
    rule.end_round()
    assert rule.thresholds().tolist() == pytest.approx([0.8, 0.35], abs=0.0013)
    assert rule.eval()(torch.tensor([[0.64, 0.36]])).label.item() == 1


def test_the_share_grows_by_rounds_and_stops() -> None:
    rule = ClassBalancedThreshold(2, round_steps=1)
    shares = []
    for _ in range(9):
        shares.append(rule.portion)
        rule(draw_probs((20, 2)))
    assert shares == pytest.approx([0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.5, 0.5])


def test_each_class_keeps_the_same_share_of_its_predictions() -> None:
    probs = draw_probs((20000, 3)) * torch.tensor([4.0, 1.0, 0.5])
    probs = probs / probs.sum(1, keepdim=True)
    rule = ClassBalancedThreshold(3, round_steps=None)
    rule(probs)
    rule.end_round()
    confidence, predicted = probs.max(1)
    for klass in range(3):
        own = confidence[predicted == klass]
        assert (own >= rule.thresholds()[klass]).float().mean() == pytest.approx(0.2, abs=0.005)


def test_a_class_without_predictions_can_come_back() -> None:
    rule = ClassBalancedThreshold(2, round_steps=1, initial=0.5)
    rule(torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.95, 0.05], [0.85, 0.15]]))
    assert rule.thresholds()[1].item() == pytest.approx(0.5)
    assert rule.eval()(torch.tensor([[0.45, 0.55]])).label.item() == 1


def test_the_first_round_uses_the_initial_threshold() -> None:
    rule = ClassBalancedThreshold(2, round_steps=2, initial=0.9)
    assert rule(torch.tensor([[0.91, 0.09], [0.6, 0.4]])).label.tolist() == [0, -1]


def test_lrent_against_the_formula() -> None:
    probs, theta, alpha = draw_probs((50, 4), sharpness=1.0), torch.tensor([0.9, 0.5, 0.4, 0.3]), 0.25
    soft, kept = lrent_soft_labels(probs, theta, alpha)
    for row in range(50):
        p = probs[row].tolist()
        raw = [(a / b) ** (1 / alpha) for a, b in zip(p, theta.tolist(), strict=True)]
        t = [value / sum(raw) for value in raw]
        assert soft[row].tolist() == pytest.approx(t, rel=1e-4)
        cost = sum(-y * math.log(a) + alpha * y * math.log(y) for y, a in zip(t, p, strict=True))
        limit = sum(-y * math.log(b) for y, b in zip(t, theta.tolist(), strict=True))
        assert bool(kept[row]) == (cost < limit)
    assert 0 < kept.sum() < 50


def test_lrent_becomes_hard_for_small_alpha() -> None:
    probs, theta = draw_probs((200, 4), sharpness=1.0), torch.tensor([0.9, 0.5, 0.4, 0.3])
    soft, kept = lrent_soft_labels(probs, theta, 1e-3)
    label, hard = class_balanced_labels(probs, theta)
    clear = ((probs / theta).max(1).values - 1).abs() > 1e-3
    assert torch.equal(soft.argmax(1), label) and torch.equal(kept[clear], hard[clear])


def test_wrong_portions_are_named() -> None:
    with pytest.raises(ValueError, match='end'):
        ClassBalancedThreshold(2, start=0.5, end=0.2)
    with pytest.raises(ValueError, match='round_steps'):
        ClassBalancedThreshold(2, round_steps=0)
