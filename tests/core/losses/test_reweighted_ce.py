"""Weighted cross-entropy."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.losses import reweighted_ce_loss


def test_hand_example() -> None:
    """Two pixels, z = 0, two classes: both cost log 2; weights 1 and 3, sample weights 1: the mean is log 2."""
    pred, target = torch.zeros(1, 2, 2), torch.tensor([[0, 1]])
    weights = torch.tensor([1.0, 3.0])
    assert reweighted_ce_loss(pred, target, weights).item() == pytest.approx(0.6931472)
    assert reweighted_ce_loss(pred, target, weights, normalizer='valid').item() == pytest.approx(2 * 0.6931472)
    assert reweighted_ce_loss(pred, target, weights, reduction='sum').item() == pytest.approx(4 * 0.6931472)


def test_only_the_ratios_of_the_weights_matter() -> None:
    pred = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    target = torch.arange(50) % 4
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert reweighted_ce_loss(pred, target, weights * 100).item() == pytest.approx(
        reweighted_ce_loss(pred, target, weights).item(), rel=1e-5
    )


def test_weights_of_another_number_of_classes_are_refused() -> None:
    with pytest.raises(ValueError, match=r'class_weight must have shape \(4,\)'):
        reweighted_ce_loss(torch.zeros(2, 4), torch.zeros(2, dtype=torch.long), torch.ones(3))


def test_permuting_the_classes_changes_nothing() -> None:
    generator = torch.Generator().manual_seed(2)
    pred = torch.randn(30, 4, generator=generator)
    target = torch.randint(0, 4, (30,), generator=generator)
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0])
    order = torch.tensor([2, 0, 3, 1])
    moved = torch.argsort(order)[target]
    assert reweighted_ce_loss(pred[:, order], moved, weights[order]).item() == pytest.approx(
        reweighted_ce_loss(pred, target, weights).item(), rel=1e-6
    )
