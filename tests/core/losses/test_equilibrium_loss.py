"""Equilibrium loss."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.losses import equilibrium_loss, score_sums
from tests.core.losses.cases import CLASSES, example


def test_hand_example() -> None:
    """s = [.9, .1], z = [0, 0]: the class that scores well sees -log .9, the other -log .1."""
    score = torch.tensor([0.9, 0.1])
    for label, probability in ((0, 0.9), (1, 0.1)):
        found = equilibrium_loss(torch.zeros(1, 2), torch.tensor([label]), score)
        assert found.item() == pytest.approx(-math.log(probability), abs=1e-5)


def test_against_the_weighted_softmax() -> None:
    pred, target = example((30,), ignored=0.0)
    score = torch.tensor([0.8, 0.5, 0.3, 0.1, 0.01])
    weighted = score * pred.exp()
    expected = -torch.log(weighted.gather(1, target[:, None])[:, 0] / weighted.sum(1)).mean()
    assert equilibrium_loss(pred, target, score).item() == pytest.approx(expected.item(), rel=1e-5)


def test_equal_scores_are_cross_entropy() -> None:
    pred, target = example((2, 6, 7))
    plain = F.cross_entropy(pred, target, ignore_index=255).item()
    assert equilibrium_loss(pred, target, torch.full((CLASSES,), 0.01)).item() == pytest.approx(plain, rel=1e-6)


def test_one_score_per_channel() -> None:
    pred, target = example((2, 6, 7))
    with pytest.raises(ValueError, match='mean_score has 4 entries but the logits have 5'):
        equilibrium_loss(pred, target, torch.ones(4))


def test_observed_scores_of_a_slow_loop() -> None:
    pred, target = example((2, 6, 7))
    total, number = score_sums(pred, target, CLASSES - 1)  # the last channel is background
    score = pred.detach().softmax(1).movedim(1, -1)
    for klass in range(CLASSES - 1):
        own = score[target == klass]
        assert number[klass] == len(own) and total[klass].item() == pytest.approx(own[:, klass].sum().item(), rel=1e-5)
    assert total.shape == (CLASSES - 1,)
