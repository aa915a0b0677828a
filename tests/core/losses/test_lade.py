"""LADE's regulariser."""

from __future__ import annotations

import math

import pytest
import torch

from imbdense.core.losses import lade_loss
from tests.core.losses.cases import COUNTS, example


def slow(pred: torch.Tensor, target: torch.Tensor, mass: torch.Tensor, counts: torch.Tensor, lam: float) -> float:
    """Class by class on (P, C) logits, as the formula reads; returns the loss."""
    prior, loss = counts / counts.sum(), 0.0
    for c in range(pred.shape[1]):
        own = mass * (target == c)
        first = (own * pred[:, c]).sum() / own.sum() if own.sum() > 0 else torch.tensor(0.0)
        bound = torch.log((mass * pred[:, c].exp()).sum() / mass.sum()) - prior[c].log() - math.log(len(counts))
        loss -= prior[c] * (first - bound - lam * bound**2)
    return float(loss)


def test_hand_example() -> None:
    """Equal counts, z = identity: T = log((e + 1) / 2) = .6201 in both classes, first terms 1."""
    value = lade_loss(torch.eye(2), torch.tensor([0, 1]), [1, 1], remine_lambda=0.0)
    bound = math.log((math.e + 1) / 2)
    assert value.item() == pytest.approx(bound - 1, rel=1e-5)
    held = lade_loss(torch.eye(2), torch.tensor([0, 1]), [1, 1], remine_lambda=0.1)
    assert held.item() == pytest.approx(bound - 1 + 0.1 * bound**2, rel=1e-5)


@pytest.mark.parametrize('shape', [(40,), (2, 4, 5), (2, 3, 2, 4)])
def test_against_the_slow_reference_with_weights_and_an_absent_class(shape: tuple[int, ...]) -> None:
    pred, target = example(shape)
    target[target == 2] = 0
    weight = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    flat = pred.detach().movedim(1, -1).reshape(-1, 5).double()
    mass = (weight * (target != 255)).flatten().double()
    expected = slow(flat, target.flatten(), mass, COUNTS.double(), 0.3)
    value = lade_loss(pred, target, COUNTS, remine_lambda=0.3, weight=weight)
    assert value.item() == pytest.approx(expected, rel=1e-5)
    assert lade_loss(pred, target, COUNTS, reduction='none').shape == (5,)


def test_gradient_of_the_written_out_sums() -> None:
    pred, target = example((12,), dtype=torch.float64)
    weight = torch.rand(12, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: lade_loss(z, target, COUNTS, weight=weight, reduction='none'), (pred,))


def test_ignored_elements_do_not_drown_the_others() -> None:
    """An ignored logit of 1e4 must not push the valid exponentials to zero."""
    pred, target = example((40,))
    expected = lade_loss(pred, target, COUNTS).item()
    loud = pred.detach().clone()
    loud[target == 255] = 1e4
    loud.requires_grad_()
    value = lade_loss(loud, target, COUNTS)
    value.backward()
    assert value.item() == pytest.approx(expected, rel=1e-5)
    assert (loud.grad[target == 255] == 0).all() and torch.isfinite(loud.grad).all()


def test_a_class_without_samples_gives_no_term_when_masked() -> None:
    pred, target = example((40,))
    terms = lade_loss(pred, target, [5, 4, 3, 2, 0], empty_class='mask', reduction='none')
    assert terms[4] == 0 and (terms[:4] != 0).all()


def test_alone_it_leaves_the_training_prior_in_the_logits() -> None:
    """Two points, p(c|x) known: the optimum of the bound is log p(c|x) + log C, not a balanced one."""
    joint = torch.tensor([[0.5, 0.1], [0.1, 0.3]], dtype=torch.float64)  # p(x, c)
    prior, posterior = joint.sum(0), joint / joint.sum(1, keepdim=True)
    target, weight = torch.tensor([0, 1, 0, 1]), joint.flatten()
    table = torch.zeros(2, 2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([table], lr=0.5, max_iter=500, tolerance_grad=1e-12)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = lade_loss(table[torch.tensor([0, 0, 1, 1])], target, prior, weight=weight)
        value.backward()
        return value

    optimizer.step(closure)
    assert torch.allclose(table.detach(), posterior.log() + math.log(2), atol=1e-4)


def test_counts_must_fit_the_channels() -> None:
    with pytest.raises(ValueError, match='3 entries but the logits have 5 channels'):
        lade_loss(*example((5,)), [1, 2, 3])
