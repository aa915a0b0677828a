"""Influence-balanced loss."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.losses import influence_balanced_loss
from tests.core.losses.cases import WEIGHTS, example


def test_hand_example() -> None:
    """z = [0, 0]: ||p - onehot||_1 = 1, CE = log 2; features of norm 100, alpha 100."""
    value = influence_balanced_loss(torch.zeros(1, 2), torch.tensor([0]), torch.tensor([100.0]), alpha=100.0)
    assert value.item() == pytest.approx(math.log(2) * 100 / 100.001, rel=1e-6)


def test_against_the_formula() -> None:
    pred, target = example((40,), ignored=0.0)
    norm = torch.rand(40, generator=torch.Generator().manual_seed(0)) * 50
    distance = (pred.softmax(1) - F.one_hot(target, 5)).abs().sum(1)
    terms = F.cross_entropy(pred, target, weight=WEIGHTS, reduction='none') * 30 / (distance * norm + 1e-3)
    value = influence_balanced_loss(pred, target, norm, alpha=30.0, class_weight=WEIGHTS)
    assert value.item() == pytest.approx(terms.mean().item(), rel=1e-5)
    gradient = torch.autograd.grad(value, pred, retain_graph=True)[0]
    assert torch.allclose(gradient, torch.autograd.grad(terms.mean(), pred)[0], atol=1e-5)


def test_the_norm_of_the_features_gets_no_gradient() -> None:
    pred, target = example((10,))
    norm = torch.ones(10, requires_grad=True)
    influence_balanced_loss(pred, target, norm).backward()
    assert norm.grad is None and pred.grad.abs().sum() > 0


def test_finite_for_a_learnt_element_and_for_features_of_zero() -> None:
    pred = torch.tensor([[300.0, 0.0], [0.0, 300.0], [0.0, 0.0]], requires_grad=True)
    value = influence_balanced_loss(pred, torch.tensor([0, 0, 1]), torch.tensor([1.0, 1.0, 0.0]))
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(pred.grad).all()


def test_features_of_another_shape_are_refused() -> None:
    pred, target = example((2, 6, 7))
    with pytest.raises(ValueError, match=r'feature_norm must have the shape of target, \(2, 6, 7\)'):
        influence_balanced_loss(pred, target, torch.ones(2, 3, 3))
