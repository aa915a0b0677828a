"""Cross-entropy with the model regulariser of CRST."""

from __future__ import annotations

import math

import pytest
import torch

from imbdense.core.losses import mrkld_loss, shifted_cross_entropy

LOGITS = torch.tensor([[math.log(3.0), 0.0]])


def test_by_hand() -> None:
    wanted = 0.2877 + 0.1 * (0.2877 + 1.3863) / 2
    assert mrkld_loss(LOGITS, torch.tensor([0])).item() == pytest.approx(wanted, abs=1e-4)


def test_zero_is_cross_entropy_and_only_labelled_pixels_count() -> None:
    generator = torch.Generator().manual_seed(0)
    pred, target = torch.randn(2, 4, 6, 5, generator=generator), torch.randint(0, 4, (2, 6, 5), generator=generator)
    target[0, :3] = 255
    assert mrkld_loss(pred, target, alpha=0.0).item() == pytest.approx(shifted_cross_entropy(pred, target).item())
    rows = pred.movedim(1, -1)[target != 255].log_softmax(1)
    wanted = -(rows[torch.arange(len(rows)), target[target != 255]] + 0.3 * rows.mean(1)).mean()
    assert mrkld_loss(pred, target, alpha=0.3).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_gradcheck_and_optimum() -> None:
    """With (1 + alpha / K) to alpha / K the optimum is a soft label, not certainty."""
    pred = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    target = torch.tensor([0, 1, 2, 0, 255, 1])
    assert torch.autograd.gradcheck(lambda z: mrkld_loss(z, target, alpha=0.5), pred)
    share = 0.5 / 3 / 1.5
    best = torch.tensor([[1 - 2 * share, share, share]]).log().requires_grad_()
    mrkld_loss(best, torch.tensor([0]), alpha=0.5).backward()
    assert best.grad.abs().max() < 1e-6


def test_nothing_labelled() -> None:
    pred = torch.randn(1, 3, 2, 2).requires_grad_()
    loss = mrkld_loss(pred, torch.full((1, 2, 2), 255))
    loss.backward()
    assert loss.item() == 0 and (pred.grad == 0).all()
    with pytest.raises(ValueError, match='alpha'):
        mrkld_loss(pred, torch.full((1, 2, 2), 255), alpha=-1.0)
