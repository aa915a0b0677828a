"""Class-balanced focal loss of sigmoids."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.losses import sigmoid_focal_cb_loss
from imbdense.core.stats import class_weights
from tests.core.losses.cases import CLASSES, WEIGHTS, example


def slow(pred: torch.Tensor, target: torch.Tensor, weights: torch.Tensor, gamma: float) -> torch.Tensor:
    """Element by element, class by class, as the formula reads; (P,) terms."""
    terms = []
    for logits, label in zip(pred.double(), target.tolist(), strict=True):
        total = 0.0
        for k, z in enumerate(logits.tolist()):
            p, t = 1 / (1 + math.exp(-z)), float(k == label)
            total += -math.log(p if t else 1 - p) * ((1 - p) * t + p * (1 - t)) ** gamma
        terms.append(total * (float(weights[label]) if label < len(weights) else 1.0))
    return torch.tensor(terms)


def test_hand_example() -> None:
    """n = [1, 10], beta = .9: w = [1.7338, .2662]. z = 0: every column costs log 2, half of it with gamma 1."""
    weights = torch.as_tensor(class_weights([1, 10], 'effective', beta=0.9))
    value = sigmoid_focal_cb_loss(torch.zeros(2, 2), torch.tensor([0, 1]), weights, focal_gamma=1.0)
    assert value.item() == pytest.approx(math.log(2) * (1.7338 + 0.2662) / 2, rel=1e-4)


@pytest.mark.parametrize('gamma', [0.0, 0.5, 2.0])
def test_against_the_slow_reference_with_background(gamma: float) -> None:
    pred, target = example((40,))
    target[::7] = CLASSES  # background
    expected = slow(pred.detach(), target, WEIGHTS, gamma)
    valid = target != 255
    value = sigmoid_focal_cb_loss(pred, target, WEIGHTS, focal_gamma=gamma)
    assert value.item() == pytest.approx(expected[valid].mean().item(), rel=1e-5)
    by_weight = sigmoid_focal_cb_loss(pred, target, WEIGHTS, focal_gamma=gamma, normalizer='weight_sum')
    mass = F.pad(WEIGHTS, (0, 1), value=1.0)[target[valid]].sum()
    assert by_weight.item() == pytest.approx((expected[valid].sum() / mass).item(), rel=1e-5)


def test_the_weight_acts_on_all_columns_of_the_element() -> None:
    pred, target = example((30,), ignored=0.0)
    terms = sigmoid_focal_cb_loss(pred, target, WEIGHTS, reduction='none')
    plain = sigmoid_focal_cb_loss(pred, target, torch.ones(CLASSES), reduction='none')
    assert torch.allclose(terms, plain * WEIGHTS[target].unsqueeze(1))


def test_weights_per_element_and_class() -> None:
    pred, target = example((30,), ignored=0.0)
    weight = torch.rand(30, CLASSES)
    terms = sigmoid_focal_cb_loss(pred, target, WEIGHTS, reduction='none')
    for given in (weight, weight.flatten()):
        value = sigmoid_focal_cb_loss(pred, target, WEIGHTS, weight=given, reduction='sum')
        assert value.item() == pytest.approx((terms * weight).sum().item(), rel=1e-5)


def test_weights_of_another_number_of_classes_are_refused() -> None:
    with pytest.raises(ValueError, match=r'class_weight must have shape \(5,\)'):
        sigmoid_focal_cb_loss(*example((5,)), torch.ones(3))
