"""Label-aware smoothing."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.losses import label_aware_smooth_loss
from imbdense.core.losses.label_aware_smooth import smoothing_factors
from tests.core.losses.cases import COUNTS, WEIGHTS, example


def test_hand_example() -> None:
    """p = [.75, .25]; n = [9, 1] gives eps = [.4, .1]."""
    pred = torch.tensor([[3.0, 1.0]]).log()
    head = label_aware_smooth_loss(pred, torch.tensor([0]), [9, 1])
    tail = label_aware_smooth_loss(pred, torch.tensor([1]), [9, 1])
    low, high = -math.log(0.75), -math.log(0.25)
    assert head.item() == pytest.approx(0.6 * low + 0.4 * (low + high) / 2, rel=1e-6)
    assert tail.item() == pytest.approx(0.9 * high + 0.1 * (low + high) / 2, rel=1e-6)


def test_factors_run_along_a_concave_curve_between_the_two_ends() -> None:
    factors = smoothing_factors(torch.tensor([101.0, 51.0, 1.0]), 0.4, 0.1)
    assert factors.tolist() == pytest.approx([0.4, 0.1 + 0.3 * math.sin(math.pi / 4), 0.1])
    assert smoothing_factors(torch.tensor([7.0, 7.0]), 0.4, 0.1).tolist() == [0.1, 0.1]


@pytest.mark.parametrize('shape', [(40,), (2, 4, 5), (2, 3, 2, 4)])
def test_against_the_formula(shape: tuple[int, ...]) -> None:
    pred, target = example(shape)
    safe = torch.where(target == 255, 0, target)
    log_prob = pred.log_softmax(1)
    factors = smoothing_factors(COUNTS).float()[safe]
    terms = -(1 - factors) * log_prob.gather(1, safe.unsqueeze(1)).squeeze(1) - factors * log_prob.mean(1)
    mass = WEIGHTS[safe] * (target != 255)
    expected = (terms * mass).sum() / mass.sum()
    value = label_aware_smooth_loss(pred, target, COUNTS, class_weight=WEIGHTS)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    gradient = torch.autograd.grad(value, pred, retain_graph=True)[0]
    assert torch.allclose(gradient, torch.autograd.grad(expected, pred)[0], atol=1e-6)


def test_no_smoothing_is_cross_entropy_and_equal_smoothing_that_of_torch() -> None:
    pred, target = example((2, 6, 7))
    plain = label_aware_smooth_loss(pred, target, COUNTS, smooth_head=0.0, smooth_tail=0.0)
    assert plain.item() == pytest.approx(F.cross_entropy(pred, target, ignore_index=255).item(), rel=1e-6)
    equal = label_aware_smooth_loss(pred, target, COUNTS, smooth_head=0.2, smooth_tail=0.2)
    host = F.cross_entropy(pred, target, ignore_index=255, label_smoothing=0.2)
    assert equal.item() == pytest.approx(host.item(), rel=1e-6)


def test_a_removed_class_takes_no_part_in_the_mean() -> None:
    pred, target = example((40,), ignored=0.0)
    target = target % 4
    masked = label_aware_smooth_loss(pred, target, [9, 5, 3, 1, 0], empty_class='mask')
    factors = smoothing_factors(torch.tensor([9.0, 5, 3, 1, 0])).float()[target]
    log_prob = pred[:, :4].log_softmax(1)
    terms = -(1 - factors) * log_prob.gather(1, target[:, None]).squeeze(1) - factors * log_prob.mean(1)
    assert masked.item() == pytest.approx(terms.mean().item(), rel=1e-5)


def test_wrong_options() -> None:
    for name in ('smooth_head', 'smooth_tail'):
        with pytest.raises(ValueError, match=name):
            label_aware_smooth_loss(*example((5,)), COUNTS, **{name: 1.0})
