"""Center collapse: cross-entropy of one centre per class, checked against torch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.losses import center_collapse_loss

CLASSES = 4
PRIOR = torch.tensor([0.6, 0.3, 0.1, 0.0])


@pytest.mark.parametrize('smooth', [1.0, 0.5, 0.9])
def test_against_torch(smooth: float) -> None:
    logits = torch.randn(3, CLASSES, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 2, 3])
    target = torch.full((3, CLASSES), (1 - smooth) / (CLASSES - 1))
    target[torch.arange(3), labels] = smooth
    expected = F.cross_entropy(logits + (PRIOR + 1e-12).log(), target)
    value = center_collapse_loss(logits, labels, PRIOR, smooth=smooth)
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)


def test_one_class_gives_a_gradient_and_none_gives_zero() -> None:
    logits = torch.randn(1, CLASSES, requires_grad=True)
    one = center_collapse_loss(logits, torch.tensor([1]), PRIOR)
    (grad,) = torch.autograd.grad(one, logits)
    assert torch.isfinite(one) and grad.abs().sum() > 0
    empty = torch.zeros(0, CLASSES, requires_grad=True)
    none = center_collapse_loss(empty, torch.zeros(0, dtype=torch.long), PRIOR)
    (grad,) = torch.autograd.grad(none, empty)
    assert none.item() == 0 and grad.shape == (0, CLASSES)


def test_gradcheck_and_precision() -> None:
    logits = torch.randn(3, CLASSES, dtype=torch.float64, requires_grad=True)
    labels, prior = torch.tensor([0, 1, 3]), PRIOR.double() + 0.1
    assert torch.autograd.gradcheck(lambda x: center_collapse_loss(x, labels, prior, smooth=0.7), (logits,))
    with torch.autocast('cpu', torch.bfloat16):
        inside = center_collapse_loss(logits.detach().bfloat16(), labels, PRIOR)
    assert inside.dtype == torch.float32 and torch.isfinite(inside)


def test_permuting_the_classes_changes_nothing() -> None:
    logits = torch.randn(3, CLASSES)
    labels = torch.tensor([0, 2, 3])
    order = torch.tensor([2, 0, 3, 1])  # the new place k holds the old class order[k]
    first = center_collapse_loss(logits, labels, PRIOR)
    second = center_collapse_loss(logits[:, order], torch.argsort(order)[labels], PRIOR[order])
    assert first.item() == pytest.approx(second.item(), rel=1e-6)


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r'labels \(R,\)'):
        center_collapse_loss(torch.randn(3, 4), torch.zeros(2, dtype=torch.long), PRIOR)
    with pytest.raises(ValueError, match='smooth'):
        center_collapse_loss(torch.randn(1, 4), torch.tensor([0]), PRIOR, smooth=0.0)
