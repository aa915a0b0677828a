"""Class-dependent temperatures."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.losses import cdt_loss
from imbdense.core.losses.cdt import cdt_temperatures
from tests.core.losses.cases import COUNTS, WEIGHTS, example


def test_hand_example() -> None:
    """n = [1000, 10], gamma .5: a = [1, 10]; z = [1, 1], y = 1: logits [1, .1]."""
    assert cdt_temperatures(torch.tensor([1000.0, 10.0]), 2, gamma=0.5).tolist() == pytest.approx([1.0, 10.0])
    value = cdt_loss(torch.ones(1, 2), torch.tensor([1]), [1000, 10], gamma=0.5)
    assert value.item() == pytest.approx(math.log(1 + math.exp(0.9)), rel=1e-6)


@pytest.mark.parametrize('shape', [(40,), (2, 4, 5)])
def test_against_the_formula(shape: tuple[int, ...]) -> None:
    pred, target = example(shape)
    factors = (COUNTS.max() / COUNTS) ** 0.2
    tempered = pred / factors.view(1, -1, *(1,) * (len(shape) - 1))
    expected = F.cross_entropy(tempered, target, weight=WEIGHTS, ignore_index=255)
    value = cdt_loss(pred, target, COUNTS, gamma=0.2, class_weight=WEIGHTS)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    gradient = torch.autograd.grad(value, pred, retain_graph=True)[0]
    assert torch.allclose(gradient, torch.autograd.grad(expected, pred)[0], atol=1e-6)


@pytest.mark.parametrize(('counts', 'gamma'), [([7.0] * 5, 0.3), (COUNTS.tolist(), 0.0)])
def test_balanced_counts_or_gamma_zero_is_cross_entropy(counts: list[float], gamma: float) -> None:
    pred, target = example((2, 4, 5))
    value = cdt_loss(pred, target, counts, gamma=gamma)
    assert value.item() == pytest.approx(F.cross_entropy(pred, target, ignore_index=255).item(), rel=1e-6)


def test_background_gets_the_geometric_mean_over_the_objects() -> None:
    factors = cdt_temperatures(torch.tensor([30.0, 10.0]), 3, gamma=0.5)
    assert factors[2].item() == pytest.approx(math.sqrt(3.0) ** 0.25)


def test_a_rare_class_must_reach_a_larger_logit() -> None:
    """The logit of the label at which the training probability is .9, over the other's 0."""
    needed = []
    for label in (0, 4):
        z = torch.zeros(1, 5)
        while cdt_loss(z, torch.tensor([label]), COUNTS, gamma=0.2).item() > -math.log(0.9):
            z[0, label] += 0.1
        needed.append(z[0, label].item())
    assert needed[1] > 2 * needed[0]
