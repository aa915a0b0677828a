"""The sigmoid engine against loops, and against mmdet's focal loss."""

from __future__ import annotations

import math

import pytest
import torch

from imbdense.core.losses import shifted_sigmoid_loss
from tests.core.losses.cases import CLASSES, WEIGHTS, example


def slow_reference(pred, target, shift, weights, gamma, alpha):
    """Sum over elements and classes, in Python."""
    total = 0.0
    for row, label in zip(pred.tolist(), target.tolist(), strict=True):
        for c, value in enumerate(row):
            p = 1 / (1 + math.exp(-(value + shift[c])))
            if c == label:
                total += weights[c] * alpha * (1 - p) ** gamma * -math.log(p)
            else:
                total += (1 - alpha) * p**gamma * -math.log(1 - p)
    return total


def anchors(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Anchor logits and labels, many of them background (C)."""
    generator = torch.Generator().manual_seed(seed)
    pred = torch.randn(50, CLASSES, generator=generator, requires_grad=True)
    target = torch.randint(0, CLASSES + 1, (50,), generator=generator)
    target[:20] = CLASSES
    return pred, target


@pytest.mark.parametrize(('gamma', 'alpha'), [(0.0, 0.5), (2.0, 0.25), (0.5, 0.75)])
def test_agrees_with_the_slow_reference(gamma: float, alpha: float) -> None:
    pred, target = anchors()
    shift = [0.5, 0.0, -1.0, -2.0, 1.0]
    value = shifted_sigmoid_loss(
        pred, target, shift=torch.tensor(shift), class_weight=WEIGHTS, focal_gamma=gamma, focal_alpha=alpha,
        ignore_index=-1, avg_factor=10.0,
    )
    expected = slow_reference(pred.detach(), target, shift, WEIGHTS.tolist(), gamma, alpha) / 10
    assert value.item() == pytest.approx(expected, rel=1e-5)


def test_replaces_the_focal_loss_of_mmdet_number_for_number() -> None:
    losses = pytest.importorskip('mmdet.models.losses')
    pred, target = anchors()
    weight = torch.rand(50, generator=torch.Generator().manual_seed(3))
    theirs = losses.FocalLoss(use_sigmoid=True, gamma=2.0, alpha=0.25)
    for sample_weight in (None, weight, weight.view(-1, 1) * torch.ones(1, CLASSES)):
        ours = shifted_sigmoid_loss(
            pred, target, focal_gamma=2.0, focal_alpha=0.25, ignore_index=-1, weight=sample_weight, avg_factor=30
        )
        assert ours.item() == pytest.approx(theirs(pred, target, sample_weight, avg_factor=30).item(), rel=1e-5)
    maps = shifted_sigmoid_loss(pred, target, focal_gamma=2.0, focal_alpha=0.25, ignore_index=-1, reduction='none')
    assert torch.allclose(maps, theirs(pred, target, reduction_override='none'), atol=1e-6)


def test_background_elements_are_all_negative_and_get_gradient() -> None:
    pred, _ = anchors()
    value = shifted_sigmoid_loss(pred, torch.full((50,), CLASSES), ignore_index=-1)
    value.backward()
    expected = torch.nn.functional.softplus(pred.detach()).sum() / 50
    assert value.item() == pytest.approx(expected.item(), rel=1e-5) and (pred.grad > 0).all()


def test_soft_targets_mix_the_two_terms() -> None:
    pred, target = example((40,), ignored=0.0)
    soft = torch.nn.functional.one_hot(target, CLASSES).float()
    hard = shifted_sigmoid_loss(pred, target, class_weight=WEIGHTS, focal_gamma=1.0, normalizer='valid')
    mixed = shifted_sigmoid_loss(pred, soft, class_weight=WEIGHTS, focal_gamma=1.0, normalizer='valid')
    assert mixed.item() == pytest.approx(hard.item(), rel=1e-5)
    plain = shifted_sigmoid_loss(pred, soft * 0.8, normalizer='valid')
    expected = torch.nn.functional.binary_cross_entropy_with_logits(pred, soft * 0.8, reduction='sum') / 40
    assert plain.item() == pytest.approx(expected.item(), rel=1e-5)


def test_normalisers_count_elements() -> None:
    pred, target = example((40,))
    valid = int((target != 255).sum())
    total = shifted_sigmoid_loss(pred, target, reduction='sum')
    for normalizer, number in (('valid', valid), ('all', 40)):
        mean = shifted_sigmoid_loss(pred, target, normalizer=normalizer)
        assert mean.item() == pytest.approx(total.item() / number, rel=1e-5)
    weighted = shifted_sigmoid_loss(pred, target, class_weight=WEIGHTS, reduction='sum')
    mass = WEIGHTS[target[target != 255]].sum()
    assert shifted_sigmoid_loss(pred, target, class_weight=WEIGHTS).item() == pytest.approx(
        (weighted / mass).item(), rel=1e-5
    )
