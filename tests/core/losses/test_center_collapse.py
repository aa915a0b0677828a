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
    logits = torch.randn(CLASSES, CLASSES, generator=torch.Generator().manual_seed(0))
    present = torch.tensor([True, False, True, True])
    target = torch.full((CLASSES, CLASSES), (1 - smooth) / (CLASSES - 1))
    target.fill_diagonal_(smooth)
    expected = F.cross_entropy((logits + (PRIOR + 1e-12).log())[present], target[present])
    value = center_collapse_loss(logits, present, PRIOR, smooth=smooth)
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)


def test_one_class_gives_a_gradient_and_none_gives_zero() -> None:
    logits = torch.randn(CLASSES, CLASSES, requires_grad=True)
    one = center_collapse_loss(logits, torch.tensor([False, True, False, False]), PRIOR)
    (grad,) = torch.autograd.grad(one, logits)
    assert torch.isfinite(one) and grad[1].abs().sum() > 0 and (grad[[0, 2, 3]] == 0).all()
    none = center_collapse_loss(logits, torch.zeros(CLASSES, dtype=torch.bool), PRIOR)
    (grad,) = torch.autograd.grad(none, logits)
    assert none.item() == 0 and (grad == 0).all()


def test_gradcheck_and_precision() -> None:
    logits = torch.randn(CLASSES, CLASSES, dtype=torch.float64, requires_grad=True)
    present = torch.tensor([True, True, False, True])
    prior = PRIOR.double() + 0.1
    assert torch.autograd.gradcheck(lambda x: center_collapse_loss(x, present, prior, smooth=0.7), (logits,))
    with torch.autocast('cpu', torch.bfloat16):
        inside = center_collapse_loss(logits.detach().bfloat16(), present, PRIOR)
    assert inside.dtype == torch.float32 and torch.isfinite(inside)


def test_permuting_the_classes_changes_nothing() -> None:
    logits = torch.randn(CLASSES, CLASSES)
    present = torch.tensor([True, False, True, True])
    order = torch.tensor([2, 0, 3, 1])
    first = center_collapse_loss(logits, present, PRIOR)
    second = center_collapse_loss(logits[order][:, order], present[order], PRIOR[order])
    assert first.item() == pytest.approx(second.item(), rel=1e-6)


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match='one centre per class'):
        center_collapse_loss(torch.randn(3, 4), torch.ones(3, dtype=torch.bool), PRIOR)
    with pytest.raises(ValueError, match='smooth'):
        center_collapse_loss(torch.randn(4, 4), torch.ones(4, dtype=torch.bool), PRIOR, smooth=0.0)
