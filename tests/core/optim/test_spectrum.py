"""Spectrum metrics on matrices whose singular values are known."""

from __future__ import annotations

import math

import pytest
import torch

from imbdense.core.optim import orthogonalize, spectrum_metrics


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_hand_example() -> None:
    """sigma = 2, 1, 1 -> q = 2/3, 1/6, 1/6, H = .8676."""
    found = spectrum_metrics(torch.diag(torch.tensor([1.0, 2.0, 1.0])), top_k=1)
    entropy = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 6))
    assert found['svd_entropy'] == pytest.approx(entropy / math.log(3), abs=1e-6)
    assert found['effective_rank'] == pytest.approx(math.exp(entropy), abs=1e-5)
    assert found['top_k_energy'] == pytest.approx(2 / 3, abs=1e-6)
    assert found['quantile_ratio'] == pytest.approx(1.5, abs=1e-6)


def test_flat_and_rank_one() -> None:
    flat = spectrum_metrics(torch.linalg.qr(torch.randn(12, 12))[0], top_k=3)
    assert flat['svd_entropy'] == pytest.approx(1, abs=1e-5) and flat['effective_rank'] == pytest.approx(12, abs=1e-3)
    assert flat['top_k_energy'] == pytest.approx(0.25, abs=1e-4)
    assert flat['quantile_ratio'] == pytest.approx(1, abs=1e-4)
    one = torch.zeros(4, 4)
    one[0, 0] = 3
    found = spectrum_metrics(one)
    assert found['effective_rank'] == 1 and found['top_k_energy'] == 1 and math.isinf(found['quantile_ratio'])


def test_invariances_and_flattening() -> None:
    weight = torch.randn(6, 4, 3, 3)
    found = spectrum_metrics(weight)
    for other in (weight.flatten(1), 1e-25 * weight, weight.flatten(1) @ torch.linalg.qr(torch.randn(36, 36))[0]):
        assert spectrum_metrics(other) == pytest.approx(found, rel=1e-3)
    bf16 = spectrum_metrics(weight.bfloat16())
    assert bf16['effective_rank'] == pytest.approx(found['effective_rank'], rel=1e-2)


def test_edges() -> None:
    for bad in (torch.zeros(3, 3), torch.full((3, 3), float('nan'))):
        assert all(math.isnan(value) for value in spectrum_metrics(bad).values())
    row = spectrum_metrics(torch.ones(1, 5))
    assert math.isnan(row['svd_entropy']) and row['effective_rank'] == 1
    with pytest.raises(ValueError, match='non-empty matrix'):
        spectrum_metrics(torch.ones(3))
    with pytest.raises(ValueError, match='top_k'):
        spectrum_metrics(torch.eye(2), top_k=0)


def test_an_orthogonalised_update_is_flatter_than_a_sign_update() -> None:
    """Four strong directions, as of frequent classes, over weak others: Muon against Adam's first step, sign(g)."""
    gradient = torch.randn(32, 4) @ torch.randn(4, 64) + 0.05 * torch.randn(32, 64)
    muon, adam = spectrum_metrics(orthogonalize(gradient)), spectrum_metrics(gradient.sign())
    print(f'effective rank of the update: Muon {muon["effective_rank"]:.1f}, Adam {adam["effective_rank"]:.1f}')
    assert muon['effective_rank'] > 2 * adam['effective_rank'] and muon['svd_entropy'] > adam['svd_entropy']
