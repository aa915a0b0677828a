"""Effective class margins."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.losses import effective_class_margin_loss, effective_class_margins
from tests.core.losses.cases import CLASSES, COUNTS


def rois(channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    pred = torch.randn(40, channels, generator=generator)
    return pred, torch.randint(0, CLASSES + 1, (40,), generator=generator)


def test_hand_example() -> None:
    """n = [16, 1], background 255: m = [256, 271]; shift log(2/4), log(1/271^.25); a = 16 gives 16 log(17/16)."""
    shift, weight = effective_class_margins(torch.tensor([16.0, 1.0]), 3, 255.0)
    assert shift.tolist() == pytest.approx([math.log(0.5), -0.25 * math.log(271), 0.25 * math.log(255 / 17)])
    assert weight[0].item() == pytest.approx(16 * math.log(17 / 16))
    assert weight[2].item() == pytest.approx(17 / 255 * math.log(272 / 17))


@pytest.mark.parametrize('channels', [CLASSES, CLASSES + 1])
def test_against_the_two_margins_written_out(channels: int) -> None:
    """The surrogate e^{z + pos} / (e^{z + pos} + e^{-z + neg}) with both margins as in the paper."""
    pred, target = rois(channels)
    background = 6.3313 * COUNTS.sum().item()
    n = torch.cat([COUNTS, torch.tensor([background])]).double()
    m = n.sum() - n
    pos = ((n**0.25 + m**0.25) / m**0.25).log()[:channels]
    neg = ((n**0.25 + m**0.25) / n**0.25).log()[:channels]
    a = (m / n)[:channels]
    weight = a * ((1 + a) / a).log()
    up, down = (pred.double() + pos).exp(), (-pred.double() + neg).exp()
    onehot = F.one_hot(target, CLASSES + 1)[:, :channels].double()
    terms = -(onehot * (up / (up + down)).log() + (1 - onehot) * (down / (up + down)).log())
    found = effective_class_margin_loss(pred, target, COUNTS, background=background)
    assert found.item() == pytest.approx(((terms * weight).sum() / 40).item(), rel=1e-5)


def test_rarer_classes_have_the_larger_margin_and_no_weight_exceeds_one() -> None:
    shift, weight = effective_class_margins(COUNTS, CLASSES, 1e4)
    assert (shift.diff() < 0).all() and (shift < 0).all()
    assert (weight.diff() > 0).all() and (weight < 1).all()


def test_class_of_count_zero_counts_once_or_is_taken_out() -> None:
    zero, one = torch.tensor([9.0, 0.0]), torch.tensor([9.0, 1.0])
    for found, expected in zip(
        effective_class_margins(zero, 3, 5.0), effective_class_margins(one, 3, 5.0), strict=True
    ):
        assert torch.equal(found, expected) and torch.isfinite(found).all()
    assert effective_class_margins(zero, 3, 5.0, empty_class='mask')[1][1] == 0


@pytest.mark.parametrize(('counts', 'background'), [([0.0, 0.0], 0.0), ([7.0], 0.0), ([1e9, 1.0], 1e12)])
def test_extreme_counts_are_finite(counts: list[float], background: float) -> None:
    for channels in (len(counts), len(counts) + 1):
        shift, weight = effective_class_margins(torch.tensor(counts), channels, background)
        assert torch.isfinite(shift).all() and torch.isfinite(weight).all() and (weight >= 0).all()


def test_negative_background_is_refused() -> None:
    with pytest.raises(ValueError, match='background'):
        effective_class_margin_loss(*rois(CLASSES), COUNTS, background=-1.0)


def test_at_the_optimum_a_quarter_of_the_prior_is_gone() -> None:
    """One feature value, labels 95 : 5: 2 z + 1/4 log(n / m) = log odds of the labels, so z = 3/8 log odds."""
    target = torch.cat([torch.zeros(95), torch.ones(5)]).long()
    logits = torch.zeros(1, 2, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=100)

    def closure() -> float:
        optimizer.zero_grad()
        loss = effective_class_margin_loss(logits.expand(100, 2), target, torch.tensor([95.0, 5.0]))
        loss.backward()
        return float(loss.detach())

    optimizer.step(closure)
    odds = math.log(95 / 5)
    assert logits[0].tolist() == pytest.approx([3 / 8 * odds, -3 / 8 * odds], abs=1e-3)
