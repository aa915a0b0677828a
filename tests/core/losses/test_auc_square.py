"""Square surrogate of the one-vs-one AUC."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.losses import auc_square_loss
from tests.core.losses.cases import CLASSES, example


def slow_reference(pred: torch.Tensor, target: torch.Tensor) -> float:
    """All pairs of elements of all ordered pairs of classes."""
    score = pred.sigmoid().movedim(1, -1).reshape(-1, pred.shape[1])
    labels = target.flatten()
    members = {c: torch.nonzero(labels == c).flatten().tolist() for c in range(pred.shape[1])}
    present = [c for c, own in members.items() if own]
    total = 0.0
    for i in present:
        for j in present:
            if i != j:
                pairs = [0.5 * (1 - score[p, i] + score[q, i]) ** 2 for p in members[i] for q in members[j]]
                total += float(sum(pairs)) / len(pairs)
    return total / (len(present) * (len(present) - 1))


@pytest.mark.parametrize('absent', [False, True])
def test_agrees_with_all_pairs(absent: bool) -> None:
    pred, target = example((2, 5, 4), dtype=torch.float64)
    if absent:
        target[target == 2] = 1
    assert auc_square_loss(pred, target).item() == pytest.approx(slow_reference(pred, target), rel=1e-9)


def test_hand_example() -> None:
    """Scores .5 everywhere: every pair costs 1/2. Perfectly separated: 0."""
    target = torch.tensor([0, 0, 0, 1])
    assert auc_square_loss(torch.zeros(4, 2), target).item() == pytest.approx(0.5)
    separated = 100.0 * (2 * torch.nn.functional.one_hot(target, 2) - 1).float()
    assert auc_square_loss(separated, target).item() == pytest.approx(0.0, abs=1e-6)


def test_gradient() -> None:
    pred, target = example((2, 3, 3), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: auc_square_loss(z, target), (pred,))


def test_the_size_of_a_class_does_not_matter() -> None:
    """A thousand copies of the head's element change nothing."""
    generator = torch.Generator().manual_seed(0)
    pred, target = torch.randn(3, 2, generator=generator, dtype=torch.float64), torch.tensor([0, 1, 1])
    many = torch.cat([pred[:1].expand(1000, 2), pred[1:]])
    labels = torch.cat([target[:1].expand(1000), target[1:]])
    assert auc_square_loss(many, labels).item() == pytest.approx(auc_square_loss(pred, target).item(), rel=1e-9)


def test_a_single_class_costs_nothing_and_keeps_the_graph() -> None:
    pred, target = example((1, 4, 4))
    value = auc_square_loss(pred, torch.full_like(target, CLASSES - 1))
    value.backward()
    assert value.item() == 0 and (pred.grad == 0).all()
