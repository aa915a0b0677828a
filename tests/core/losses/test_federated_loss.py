"""Federated loss."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.losses import classes_present, draw_federated_classes, federated_loss, shifted_sigmoid_loss
from tests.core.losses.cases import CLASSES, example


def test_untrained_classes_have_neither_loss_nor_gradient() -> None:
    pred, target = example((2, 6, 7))
    trained = torch.tensor([True, False, True, True, False])
    federated_loss(pred, target, trained).backward()
    assert (pred.grad[:, ~trained] == 0).all() and (pred.grad[:, trained] != 0).any()
    maps = federated_loss(pred, target, trained, reduction='none')
    expected = shifted_sigmoid_loss(pred, target, reduction='none') * trained.view(1, -1, 1, 1)
    assert torch.allclose(maps, expected)


def test_all_classes_trained_is_binary_cross_entropy() -> None:
    pred, target = example((2, 6, 7))
    plain = shifted_sigmoid_loss(pred, target)
    assert torch.equal(federated_loss(pred, target, torch.ones(CLASSES, dtype=torch.bool)), plain)


def test_present_classes_are_always_drawn_and_the_number_is_kept() -> None:
    present = torch.zeros(200, dtype=torch.bool)
    present[[3, 50, 199]] = True
    for seed in range(20):
        torch.manual_seed(seed)
        drawn = draw_federated_classes(present, torch.ones(200), 50)
        assert drawn[present].all() and int(drawn.sum()) == 50


def test_more_present_than_wanted_are_all_kept_and_few_classes_are_all_drawn() -> None:
    present = torch.arange(20) < 8
    assert torch.equal(draw_federated_classes(present, torch.ones(20), 5), present)
    assert draw_federated_classes(present, torch.ones(20), 50).all()


def test_a_class_of_rate_zero_is_only_taken_when_present() -> None:
    rates = torch.tensor([1.0, 0.0, 0.0, 1.0])
    present = torch.tensor([False, True, False, False])
    assert draw_federated_classes(present, rates, 4).tolist() == [True, True, False, True]


def test_draws_follow_the_rates() -> None:
    """One class of two extra: first draw of rates 1 : 3, 4000 times; 3 sigma = .021."""
    torch.manual_seed(0)
    present, rates = torch.zeros(2, dtype=torch.bool), torch.tensor([1.0, 3.0])
    share = torch.stack([draw_federated_classes(present, rates, 1) for _ in range(4000)]).float().mean(0)
    assert share.tolist() == pytest.approx([0.25, 0.75], abs=0.021)


def test_drawing_without_replacement_follows_the_sequential_law() -> None:
    """Two of three with rates 1, 2, 3: P(class 0 among them) = 1/6 + 2/6 * 1/4 + 3/6 * 1/3 = .4167."""
    torch.manual_seed(0)
    present = torch.zeros(3, dtype=torch.bool)
    drawn = [draw_federated_classes(present, torch.tensor([1.0, 2.0, 3.0]), 2) for _ in range(4000)]
    assert torch.stack(drawn).float().mean(0)[0].item() == pytest.approx(0.4167, abs=0.024)


def test_present_classes_ignore_background_and_ignored_elements() -> None:
    pred = torch.zeros(5, 4)
    target = torch.tensor([0, 2, 4, -1, 2])
    assert classes_present(pred, target, 4, ignore_index=-1).tolist() == [True, False, True, False]
