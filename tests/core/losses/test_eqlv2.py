"""Equalization loss v2."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.losses import eqlv2_gradients, eqlv2_loss, eqlv2_weights, objectness_scores
from tests.core.losses.cases import CLASSES, RATIO, example


def rois(count: int = 40, channels: int = CLASSES + 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    pred = torch.randn(count, channels, generator=generator)
    return pred.requires_grad_(), torch.randint(0, CLASSES + 1, (count,), generator=generator)


def test_hand_example_of_the_weights() -> None:
    """r = .8 is the centre: negative 1/2, positive 1 + 4/2 = 3; r = 100: both 1; r = 0: negative 1/(1+e^9.6)."""
    positive, negative = eqlv2_weights(torch.tensor([0.8, 100.0, 0.0], dtype=torch.float64), 4)
    assert negative.tolist() == pytest.approx([0.5, 1.0, 1 / (1 + math.exp(9.6)), 1.0])
    assert positive.tolist() == pytest.approx([3.0, 1.0, 5 - 4 / (1 + math.exp(9.6)), 1.0])


@pytest.mark.parametrize('channels', [CLASSES, CLASSES + 1])
def test_against_the_written_out_sum(channels: int) -> None:
    pred, target = rois(channels=channels)
    positive, negative = eqlv2_weights(RATIO, channels)
    onehot = F.one_hot(target, CLASSES + 1)[:, :channels].float()
    terms = F.binary_cross_entropy_with_logits(pred, onehot, reduction='none')
    expected = (terms * (positive * onehot + negative * (1 - onehot))).sum() / 40
    assert eqlv2_loss(pred, target, RATIO).item() == pytest.approx(expected.item(), rel=1e-5)


def test_high_ratio_is_binary_cross_entropy() -> None:
    pred, target = example((2, 6, 7), ignored=0.0)
    onehot = F.one_hot(target, CLASSES).movedim(-1, 1).float()
    plain = F.binary_cross_entropy_with_logits(pred, onehot, reduction='sum') / target.numel()
    assert eqlv2_loss(pred, target, torch.full((CLASSES,), 100.0)).item() == pytest.approx(plain.item(), rel=1e-6)


@pytest.mark.parametrize('shape', [(40,), (2, 3, 4)])
@pytest.mark.parametrize('channels', [CLASSES, CLASSES + 1])
def test_gathered_gradients_are_those_of_the_loss(shape: tuple[int, ...], channels: int) -> None:
    """Against autograd: of one class the columns of its samples are the positive gradient, the others the negative."""
    generator = torch.Generator().manual_seed(0)
    pred = torch.randn(shape[0], channels, *shape[1:], generator=generator).requires_grad_()
    target = torch.randint(0, CLASSES + 1, shape, generator=generator)
    target.view(-1)[:7] = -1
    weight = torch.rand(shape, generator=generator)
    eqlv2_loss(pred, target, RATIO, ignore_index=-1, weight=weight, reduction='sum').backward()
    positive, negative = eqlv2_gradients(pred, target, RATIO, ignore_index=-1, weight=weight)
    gradient = pred.grad.movedim(1, -1).reshape(-1, channels).abs()
    for klass in range(CLASSES):
        own = target.flatten() == klass
        assert positive[klass].item() == pytest.approx(gradient[own, klass].sum().item(), rel=1e-4)
        assert negative[klass].item() == pytest.approx(gradient[~own, klass].sum().item(), rel=1e-4)


def test_weights_per_element_and_class() -> None:
    pred, target = rois()
    weight = torch.rand(40, CLASSES + 1)
    one = eqlv2_loss(pred, target, RATIO, weight=weight, reduction='none')
    assert torch.allclose(one, weight * eqlv2_loss(pred, target, RATIO, reduction='none'))
    column = torch.zeros_like(weight)
    column[:, 2] = 1
    positive, negative = eqlv2_gradients(pred, target, RATIO, weight=column)
    assert positive[2] > 0 and negative[2] > 0
    assert positive[[0, 1, 3, 4]].sum() == 0 and negative[[0, 1, 3, 4]].sum() == 0


def test_scores_suppress_the_classes_by_the_background() -> None:
    scores = objectness_scores(torch.tensor([[0.0, 2.0, 0.0]]))
    assert scores[0].tolist() == pytest.approx([0.25, 0.5 * torch.sigmoid(torch.tensor(2.0)).item(), 0.5])
