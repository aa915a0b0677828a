"""Softmax equalisation loss."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.losses import softmax_eql_loss
from imbdense.core.losses.softmax_eql import rare_classes
from tests.core.losses.cases import COUNTS, example

RARE = 0.02  # classes 3 and 4 of COUNTS


def test_hand_example() -> None:
    pred, everything = torch.zeros(1, 2), torch.ones(1, 2, dtype=torch.bool)
    options = {'threshold': 0.01, 'dropped': everything}
    assert softmax_eql_loss(pred, torch.tensor([0]), [999, 1], **options).item() == 0
    assert softmax_eql_loss(pred, torch.tensor([1]), [999, 1], **options).item() == pytest.approx(0.6931472)


def test_against_the_formula() -> None:
    pred, target = example((40,), ignored=0.0)
    dropped = torch.rand(40, 5, generator=torch.Generator().manual_seed(3)) < 0.5
    rare = rare_classes(COUNTS, RARE)
    assert rare.tolist() == [False, False, False, True, True]
    weights = 1 - dropped * rare * (1 - F.one_hot(target, 5))
    own = pred.gather(1, target[:, None]).squeeze(1)
    expected = (torch.log((weights * pred.exp()).sum(1)) - own).mean()
    value = softmax_eql_loss(pred, target, COUNTS, threshold=RARE, dropped=dropped)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    gradient = torch.autograd.grad(value, pred, retain_graph=True)[0]
    assert torch.allclose(gradient, torch.autograd.grad(expected, pred)[0], atol=1e-6)


def test_gamma_zero_or_no_rare_class_is_cross_entropy() -> None:
    pred, target = example((2, 6, 7))
    expected = F.cross_entropy(pred, target, ignore_index=255).item()
    assert softmax_eql_loss(pred, target, COUNTS, gamma=0.0, threshold=1.0).item() == pytest.approx(expected, rel=1e-6)
    assert softmax_eql_loss(pred, target, COUNTS, threshold=0.0).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize('gamma', [0.9, 0.25, 1.0])
def test_rare_classes_are_left_out_as_often_as_gamma_says(gamma: float) -> None:
    """The gradient of a left-out logit is an exact zero; those of the label and of frequent classes never are."""
    pred = torch.zeros(40000, 5, requires_grad=True)
    target = torch.zeros(40000, dtype=torch.long)
    target[0] = 4
    generator = torch.Generator().manual_seed(0)
    softmax_eql_loss(pred, target, COUNTS, gamma=gamma, threshold=RARE, generator=generator).backward()
    silent = (pred.grad == 0).double()
    assert silent[:, :3].sum() == 0 and silent[0, 4] == 0
    assert silent[1:, 3:].mean(0).tolist() == pytest.approx([gamma, gamma], abs=0.01)


def test_the_draw_is_that_of_torch_and_differs_between_elements() -> None:
    pred, target = example((2, 6, 7))
    values = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        values.append(softmax_eql_loss(pred, target, COUNTS, gamma=0.5, threshold=RARE).item())
    assert values[0] == values[1] != values[2]


def test_background_elements_teach_rare_classes_what_is_no_object() -> None:
    pred = torch.zeros(6, 3, requires_grad=True)
    target = torch.tensor([2, 2, 2, 0, 0, 0])
    everything = torch.ones(6, 3, dtype=torch.bool)
    softmax_eql_loss(pred, target, [999, 1], threshold=0.01, dropped=everything).backward()
    assert (pred.grad[:3, 1] > 0).all() and (pred.grad[3:, 1] == 0).all()
    assert (pred.grad[3:, 2] > 0).all(), 'the background itself is never left out'
