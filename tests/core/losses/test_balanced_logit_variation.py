"""Balanced logit variation."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.losses import balanced_logit_variation_loss
from imbdense.core.losses.balanced_logit_variation import noise_levels, variation_scale
from tests.core.losses.cases import COUNTS, example


def test_hand_example() -> None:
    """n = [9, 1]: q = [log 10/9, log 10], scaled [.0458, 1]; full noise on z = [0, 0], y = 1."""
    assert variation_scale(torch.tensor([9.0, 1.0])).tolist() == pytest.approx([math.log(10 / 9) / math.log(10), 1.0])
    value = balanced_logit_variation_loss(torch.zeros(1, 2), torch.tensor([1]), [9, 1], noise=torch.ones(1, 2))
    assert value.item() == pytest.approx(math.log(1 + math.exp(0.04576 - 1)), rel=1e-4)


def test_against_the_formula() -> None:
    pred, target = example((2, 6, 7))
    noise = torch.rand(2, 5, 6, 7, generator=torch.Generator().manual_seed(1))
    scale = torch.log(COUNTS.sum() / COUNTS)
    noisy = pred + noise * (scale / scale.max()).view(1, -1, 1, 1)
    expected = F.cross_entropy(noisy, target, ignore_index=255)
    value = balanced_logit_variation_loss(pred, target, COUNTS, noise=noise)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    gradient = torch.autograd.grad(value, pred, retain_graph=True)[0]
    assert torch.allclose(gradient, torch.autograd.grad(expected, pred)[0], atol=1e-7)


@pytest.mark.parametrize('sigma', [4.0, 1.0, 0.3])
def test_the_levels_are_the_distribution_of_the_clamped_normal(sigma: float) -> None:
    drawn = (sigma * torch.randn(400_000, generator=torch.Generator().manual_seed(0))).clamp(-1, 1).abs()
    levels = noise_levels(sigma)
    assert levels.mean().item() == pytest.approx(drawn.mean().item(), abs=3e-3)
    assert levels.square().mean().item() == pytest.approx(drawn.square().mean().item(), abs=3e-3)
    at_the_bound = (drawn == 1).double().mean().item()
    assert (levels == 1).double().mean().item() == pytest.approx(at_the_bound, abs=5e-3)


def test_the_draw_is_that_of_torch_and_differs_between_elements() -> None:
    pred, target = example((2, 6, 7))
    values = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        values.append(balanced_logit_variation_loss(pred, target, COUNTS).item())
    assert values[0] == values[1] != values[2]


def test_the_noise_is_not_centred_and_lowers_what_rare_logits_have_to_reach() -> None:
    """Equal logits: an element of the rarest class costs less than with cross-entropy, one of the others more."""
    pred = torch.zeros(2000, 5)
    for label, cheaper in ((4, True), (0, False)):
        value = balanced_logit_variation_loss(pred, torch.full((2000,), label), COUNTS)
        assert (value.item() < math.log(5)) is cheaper


def test_equal_counts_give_equal_noise_and_sigma_must_be_positive() -> None:
    assert variation_scale(torch.full((4,), 7.0)).tolist() == pytest.approx([1.0] * 4)
    assert variation_scale(torch.tensor([5.0])).tolist() == [0.0]
    with pytest.raises(ValueError, match='sigma'):
        balanced_logit_variation_loss(*example((5,)), COUNTS, sigma=0.0)
