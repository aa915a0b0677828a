"""Assignments of set sizes."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.matching import power_law_prior, sinkhorn_assign


def test_marginals_are_those_asked_for() -> None:
    scores, prior = torch.randn(400, 5), torch.tensor([0.5, 0.25, 0.15, 0.07, 0.03])
    weights = torch.rand(400) + 0.1
    found = sinkhorn_assign(scores, prior, weights=weights, temperature=0.5, iterations=200)
    assert torch.allclose(found.sum(1), weights.double() / weights.double().sum())
    assert torch.allclose(found.sum(0), prior.double(), atol=1e-4)


def test_equals_plain_sinkhorn() -> None:
    scores, prior = torch.rand(12, 3).double(), torch.tensor([0.6, 0.3, 0.1]).double()
    kernel = (scores / 0.2).exp()
    b = torch.ones(3).double()
    a = (1 / 12) / (kernel @ b)
    for _ in range(30):
        b = prior / (kernel.t() @ a)
        a = (1 / 12) / (kernel @ b)
    assert torch.allclose(sinkhorn_assign(scores, prior, temperature=0.2, iterations=30), a[:, None] * kernel * b)


def test_a_long_tailed_prior_does_not_split_the_head_as_a_flat_one_does() -> None:
    """A head of 90 rows that differ a little and a tail of 10: with equal shares the head fills the tail's cluster."""
    generator = torch.Generator().manual_seed(0)
    head = torch.tensor([1.0, 0.2]) + 0.05 * torch.randn(90, 2, generator=generator)
    scores = torch.cat([head, torch.tensor([0.1, 1.0]).expand(10, 2)])
    truth = torch.arange(100) >= 90
    sizes = torch.tensor([90.0, 10.0])
    flat = sinkhorn_assign(scores, power_law_prior(sizes, 0.0)).argmax(1)
    law = sinkhorn_assign(scores, power_law_prior(sizes, 3.0)).argmax(1)
    assert (flat == truth.long()).float().mean() < 0.75 and torch.equal(law, truth.long())


def test_prior_by_hand_and_bad_input() -> None:
    zipf = torch.tensor([1 / 2, 1, 1 / 3], dtype=torch.double) / (11 / 6)
    assert torch.allclose(power_law_prior(torch.tensor([5, 9, 5]), 1.0), zipf)
    assert sinkhorn_assign(torch.zeros(0, 2), torch.ones(2)).shape == (0, 2)
    with pytest.raises(ValueError, match='prior of'):
        sinkhorn_assign(torch.zeros(3, 2), torch.ones(3))
    with pytest.raises(ValueError, match='must be > 0'):
        sinkhorn_assign(torch.zeros(3, 2), torch.tensor([1.0, 0.0]))
