"""Distillation of directions: by hand, unseen rows, half precision."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.losses import distill_cosine_loss


def test_by_hand_and_as_cosines() -> None:
    pred, target = torch.tensor([[2.0, 0.0], [0.0, 3.0]]), torch.tensor([[1.0, 0.0], [5.0, 0.0]])
    assert distill_cosine_loss(pred, target).item() == pytest.approx((0 + 2) / 2 / 2)  # (2 / C) mean (1 - cos)
    pred, target = torch.randn(30, 7), torch.randn(30, 7)
    cosine = F.cosine_similarity(pred, target)
    assert distill_cosine_loss(pred, target).item() == pytest.approx(2 / 7 * (1 - cosine).mean().item(), rel=1e-5)
    assert distill_cosine_loss(4 * pred, 0.1 * target).item() == pytest.approx(distill_cosine_loss(pred, target).item())


def test_unseen_and_masked_rows_count_nothing() -> None:
    pred, target = torch.randn(6, 3, requires_grad=True), torch.randn(6, 3)
    target[1] = 0
    valid = torch.tensor([True, True, True, False, True, True])
    loss = distill_cosine_loss(pred, target, valid=valid)
    keep = [0, 2, 4, 5]
    assert loss.item() == pytest.approx(distill_cosine_loss(pred[keep], target[keep]).item())
    loss.backward()
    assert (pred.grad[[1, 3]] == 0).all() and (pred.grad[keep].abs().sum(1) > 0).all()


def test_nothing_valid_is_zero_with_graph() -> None:
    pred = torch.full((3, 2), float('nan'), requires_grad=True)
    for p, t in ((pred, torch.zeros(3, 2)), (pred[:0], torch.zeros(0, 2))):
        loss = distill_cosine_loss(p, t)
        loss.backward()
        assert loss.item() == 0 and (pred.grad == 0).all()


def test_gradient_and_half_precision() -> None:
    target = torch.randn(5, 4, dtype=torch.double)
    pred = torch.randn(5, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: distill_cosine_loss(x, target), pred)
    pred = torch.randn(50, 8)
    exact = distill_cosine_loss(pred, pred.roll(1, 0))
    with torch.autocast('cpu', torch.bfloat16):
        half = distill_cosine_loss(pred.bfloat16(), pred.roll(1, 0))
    assert half.dtype == torch.float32 and half.item() == pytest.approx(exact.item(), rel=1e-2)
    with pytest.raises(ValueError, match='dims'):
        distill_cosine_loss(pred, pred[:, :4])
