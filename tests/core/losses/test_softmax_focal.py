"""Focal loss of the softmax."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.losses import softmax_focal_loss
from tests.core.losses.cases import WEIGHTS, example


def test_hand_example() -> None:
    """z = [0, 0]: p = .5, l = log 2; gamma 2 leaves a quarter. With weight 2 inside: l = 2 log 2, e^-l = .25."""
    pred, target = torch.zeros(1, 2), torch.tensor([0])
    assert softmax_focal_loss(pred, target).item() == pytest.approx(0.25 * math.log(2))
    weighted = softmax_focal_loss(pred, target, class_weight=torch.tensor([2.0, 1.0]))
    assert weighted.item() == pytest.approx(0.75**2 * 2 * math.log(2))


@pytest.mark.parametrize('gamma', [0.5, 1.0, 2.0])
def test_against_the_formula(gamma: float) -> None:
    pred, target = example((2, 6, 7))
    inner = F.cross_entropy(pred, target, weight=WEIGHTS, ignore_index=255, reduction='none')
    expected = ((1 - torch.exp(-inner)) ** gamma * inner)[target != 255].mean()
    value = softmax_focal_loss(pred, target, focal_gamma=gamma, class_weight=WEIGHTS)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)


def test_gamma_zero_is_weighted_cross_entropy_under_every_normalizer() -> None:
    pred, target = example((2, 6, 7))
    options = {'focal_gamma': 0.0, 'class_weight': WEIGHTS}
    total = F.cross_entropy(pred, target, weight=WEIGHTS, ignore_index=255, reduction='sum')
    valid = target != 255
    for normalizer, divisor in (
        ('valid', valid.sum()), ('all', target.numel()), ('weight_sum', WEIGHTS[target[valid]].sum())
    ):
        value = softmax_focal_loss(pred, target, normalizer=normalizer, **options)
        assert value.item() == pytest.approx((total / divisor).item(), rel=1e-5), normalizer


@pytest.mark.parametrize('gamma', [0.1, 0.5, 1.0])
def test_gradient_is_finite_where_the_label_is_certain(gamma: float) -> None:
    """1 - p is an exact zero there, and d/dx x^gamma is infinite."""
    pred = torch.tensor([[200.0, 0.0]], requires_grad=True)
    softmax_focal_loss(pred, torch.tensor([0]), focal_gamma=gamma).backward()
    assert torch.isfinite(pred.grad).all()


def test_easy_elements_count_less() -> None:
    """The share of the hardest element in the sum grows with gamma."""
    pred, target = torch.tensor([[4.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0])
    shares = []
    for gamma in (0.0, 1.0, 2.0):
        terms = softmax_focal_loss(pred, target, focal_gamma=gamma, reduction='none')
        shares.append((terms[1] / terms.sum()).item())
    assert shares[0] < shares[1] < shares[2]


def test_negative_gamma_is_refused() -> None:
    with pytest.raises(ValueError, match='focal_gamma'):
        softmax_focal_loss(*example((5,)), focal_gamma=-1.0)
