"""DARP: class totals enforced with the least change, and the region level."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbdense.core.pseudo_label import (
    DARPRefiner,
    apply_duals,
    darp_denoise,
    darp_duals,
    darp_refine,
    pool_regions,
    refine_by_regions,
)
from tests.core.pseudo_label.rules import draw_probs, draw_valid

TARGETS = {'even': [1.0, 1, 1, 1], 'tail': [60.0, 25, 10, 5], 'turned': [5.0, 10, 25, 60]}


@pytest.mark.parametrize('target', TARGETS.values(), ids=TARGETS.keys())
@pytest.mark.parametrize('sharpness', [0.5, 2.0])
def test_row_and_column_sums(target: list[float], sharpness: float) -> None:
    probs, wanted = draw_probs((500, 4), sharpness=sharpness), torch.tensor(target) / sum(target) * 500
    refined = darp_refine(probs, torch.tensor(target))
    assert (refined.sum(1) - 1).abs().max() < 1e-5
    assert ((refined.sum(0) - wanted) / wanted).abs().max() < 0.01


def slow_darp(probs: np.ndarray, target: np.ndarray, iterations: int) -> np.ndarray:
    """Row factors and class multipliers in turn, the latter by bisection."""
    unsure = -(probs * np.log(probs + 1e-6)).sum(1)
    target, base = target / target.sum() * len(probs), probs / np.e
    nu = np.ones(len(target))
    for _ in range(iterations):
        rows = 1 / (base * np.exp(-np.outer(unsure, nu))).sum(1)
        for k in range(len(target)):
            low, high = -200.0, 200.0
            for _ in range(100):
                nu[k] = 0.5 * (low + high)
                above = (base[:, k] * rows * np.exp(-nu[k] * unsure)).sum() > target[k]
                low, high = (nu[k], high) if above else (low, nu[k])
    rows = 1 / (base * np.exp(-np.outer(unsure, nu))).sum(1)
    return base * rows[:, None] * np.exp(-np.outer(unsure, nu))


def test_equals_bisection() -> None:
    probs, target = draw_probs((200, 3), sharpness=1.5), torch.tensor([6.0, 3, 1])
    wanted = slow_darp(probs.double().numpy(), target.double().numpy(), 60)
    assert np.allclose(darp_refine(probs, target, iterations=60).numpy(), wanted, atol=1e-6)


def test_it_is_the_closest_that_has_the_totals() -> None:
    """Any other feasible move costs more entropy-weighted divergence."""
    probs, target = draw_probs((60, 3), sharpness=1.5).double(), torch.tensor([30.0, 20, 10])
    best = darp_refine(probs, target, iterations=200)
    weight = 1 / -(probs * (probs + 1e-6).log()).sum(1)

    def cost(x: torch.Tensor) -> torch.Tensor:
        return (weight * (x * (x / probs).log()).sum(1)).sum()

    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        rows, classes = torch.randperm(60, generator=generator)[:2], torch.randperm(3, generator=generator)[:2]
        move = torch.zeros_like(best)
        step = 1e-3 * best[rows][:, classes].min()
        move[rows[0], classes[0]], move[rows[0], classes[1]] = step, -step
        move[rows[1], classes[0]], move[rows[1], classes[1]] = -step, step
        assert cost(best + move) >= cost(best) and cost(best - move) >= cost(best)


def test_sure_rows_stay_and_unsure_ones_give_way() -> None:
    probs = torch.cat([torch.tensor([[0.9999, 0.0001]]).expand(50, 2), torch.tensor([[0.6, 0.4]]).expand(50, 2)])
    refined = darp_refine(probs, torch.tensor([60.0, 40.0]))
    assert (refined[:50, 0] > 0.999).all() and refined[50:, 0].mean() == pytest.approx(0.2, abs=0.01)


def test_rows_without_mass_do_not_count() -> None:
    probs, target = draw_probs((100, 3)), torch.tensor([5.0, 3, 2])
    mass = (torch.arange(100) < 60).float()
    assert torch.allclose(darp_duals(probs, target, row_mass=mass), darp_duals(probs[:60], target), atol=1e-9)


def test_infeasible_targets_stay_finite() -> None:
    probs = torch.eye(3).repeat(10, 1)  # all rows certain: nothing can move
    refined = darp_refine(probs, torch.tensor([1.0, 0, 0]))
    assert torch.isfinite(refined).all() and torch.allclose(refined.sum(1), torch.ones(30).double())


def test_denoising_by_hand() -> None:
    probs = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.4, 0.6]])
    found = darp_denoise(probs, torch.tensor([3.0, 1.0]), alpha=1.0)
    kept = torch.tensor([[0.9, 0], [0.8, 0], [0.7, 0], [0, 0.6]]).double()
    wanted = kept * (torch.tensor([3.0, 1.0]).double() / kept.sum(0)) + 1e-6
    assert torch.allclose(found, wanted / wanted.sum(1, keepdim=True), atol=1e-6)


@pytest.mark.parametrize('total', [355, 356.0, 171.3])
def test_denoising_keeps_the_whole_number_below(total: float) -> None:
    """Whole targets that are scaled to the number of rows must not gain an entry by rounding."""
    probs, target = draw_probs((355, 4)).double(), torch.tensor([113.0, 115, 56, 71]).double() * total / 355
    wanted = target / target.sum() * 355
    kept = torch.zeros_like(probs)
    for k, count in enumerate([226, 230, 112, 142]):
        best = probs[:, k].argsort(descending=True)[:count]
        kept[best, k] = probs[best, k] * (wanted[k] + 1e-6) / (probs[best, k].sum() + 1e-6)
    kept = kept + 1e-6
    assert torch.allclose(darp_denoise(probs, target), kept / kept.sum(1, keepdim=True), rtol=1e-9)


def test_regions_pool_the_valid_pixels() -> None:
    probs, valid = draw_probs((2, 3, 10, 7)), draw_valid((2, 10, 7))
    valid[1, 4:8, 4:] = False
    means, mass = pool_regions(probs, valid, 4)
    assert means.shape == (2, 3, 3, 2) and mass.shape == (2, 3, 2)
    own = valid[0, 8:, 4:]
    assert torch.allclose(means[0, :, 2, 1], probs[0, :, 8:, 4:][:, own].mean(1), atol=1e-6)
    assert mass[0, 2, 1].item() == pytest.approx(own.sum().item() / 16)
    assert mass[1, 1, 1] == 0 and means[1, :, 1, 1].tolist() == pytest.approx([1 / 3] * 3)


def test_pixels_follow_their_region() -> None:
    probs, valid = draw_probs((1, 2, 6, 4)), torch.ones(1, 6, 4, dtype=torch.bool)
    means, _ = pool_regions(probs, valid, 4)
    refined = refine_by_regions(probs, valid, lambda rows, mass: rows.flip(1), 4)
    ratio = means.flip(1) / means
    wanted = probs * ratio[:, :, [0, 0, 0, 0, 1, 1]][:, :, :, [0] * 4]
    assert torch.allclose(refined, wanted / wanted.sum(1, keepdim=True), atol=1e-6)


def test_the_refiner_brings_the_data_to_the_target() -> None:
    """A batch of easy images alone is not forced to hold all classes."""
    generator = torch.Generator().manual_seed(0)
    refiner = DARPRefiner(3, target=[0.5, 0.3, 0.2], region=8, memory=512, interval=5, warmup=5)

    def batch() -> torch.Tensor:
        bias = torch.tensor([2.0, 0, -1]).view(1, 3, 1, 1) + torch.randn(4, 3, 4, 4, generator=generator)
        return torch.softmax(bias.repeat_interleave(8, 2).repeat_interleave(8, 3), 1)

    assert torch.allclose(refiner(batch()), torch.ones(()), atol=1)  # the warm-up
    assert (refiner.nu == 0).all()
    for _ in range(40):
        refiner(batch())
    fresh = torch.cat([batch() for _ in range(20)])
    before, after = fresh.mean((0, 2, 3)), refiner.eval()(fresh).mean((0, 2, 3))
    target = torch.tensor([0.5, 0.3, 0.2])
    assert (after - target).abs().max() < 0.05 < 0.2 < (before - target).abs().max()


def test_the_refiner_waits_for_an_estimate() -> None:
    refiner, probs = DARPRefiner(3, 'estimated', region=4, interval=1, warmup=0), draw_probs((1, 3, 8, 8))
    assert torch.allclose(refiner(probs), probs, atol=1e-6)
    refiner.target.set_prior([1, 1, 8])
    assert not torch.allclose(refiner(probs), probs, atol=1e-2)


def test_few_iterations_do_from_a_similar_solution() -> None:
    probs, target = draw_probs((500, 4)), torch.tensor([60.0, 25, 10, 5])
    start = darp_duals(draw_probs((500, 4), seed=1), target)
    refined = apply_duals(probs, darp_duals(probs, target, start=start, iterations=5, newton_steps=6))
    wanted = target / target.sum() * 500
    assert ((refined.sum(0) - wanted) / wanted).abs().max() < 0.01


def test_duals_carry_over_to_other_rows() -> None:
    probs, target = draw_probs((4000, 3)), torch.tensor([5.0, 3, 2])
    nu = darp_duals(probs[:2000], target)
    wanted = target / target.sum()
    assert (apply_duals(probs[2000:], nu).mean(0) - wanted).abs().max() < 0.02
