"""Distribution alignment."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.pseudo_label import DistributionAlign, align_distribution
from imbdense.core.stats import ClassCounts, PriorLedger
from tests.core.pseudo_label.rules import draw_probs, draw_valid


def test_by_hand() -> None:
    probs = align_distribution(torch.tensor([[0.6, 0.4]]), torch.tensor([0.5, 0.5]), torch.tensor([0.8, 0.2]))
    assert probs[0].tolist() == pytest.approx([0.375 / 1.375, 1.0 / 1.375]) and probs.argmax() == 1


def test_exponent_and_clamp() -> None:
    probs, target, current = draw_probs((7, 3)), torch.tensor([0.98, 0.01, 0.01]), torch.tensor([0.001, 0.5, 0.499])
    assert torch.allclose(align_distribution(probs, target, current, exponent=0.0), probs, atol=1e-6)
    ratio = torch.tensor([10.0, 0.1, 0.1])
    wanted = probs * ratio**0.5
    assert torch.allclose(align_distribution(probs, target, current, 0.5), wanted / wanted.sum(1, keepdim=True))


def test_the_average_and_its_first_step() -> None:
    refiner, m = DistributionAlign(3, 'uniform', momentum=0.9), 0.9
    batches = [draw_probs((2, 3, 6, 6), step) for step in range(4)]
    valid = draw_valid((2, 6, 6))
    means = [batch.movedim(1, -1)[valid].mean(0) for batch in batches]
    refiner(batches[0], valid)
    assert torch.allclose(refiner.current(), means[0])
    for batch in batches[1:]:
        refiner(batch, valid)
    weights = torch.tensor([m ** (3 - step) for step in range(4)])
    assert torch.allclose(refiner.current(), (torch.stack(means) * weights[:, None]).sum(0) / weights.sum())


def test_the_mean_prediction_comes_to_the_target() -> None:
    target = torch.tensor([0.2, 0.3, 0.5])
    probs = draw_probs((5000, 3), sharpness=0.5) * torch.tensor([4.0, 1, 1])
    probs = probs / probs.sum(1, keepdim=True)
    found = DistributionAlign(3, target.tolist())(probs)
    assert (found.mean(0) - target).abs().max() < 0.5 * (probs.mean(0) - target).abs().max()


def test_the_exponent_follows_the_progress() -> None:
    refiner = DistributionAlign(2, 'uniform', exponent=1.0, final_exponent=0.5)
    probs = torch.tensor([[0.8, 0.2]])
    refiner(probs)
    refiner.eval()
    found = {}
    for progress in (0.0, 0.5, 1.0):
        refiner.set_progress(progress)
        found[progress] = refiner(torch.tensor([[0.5, 0.5]]))[0, 1].item()
    odds = {progress: value / (1 - value) for progress, value in found.items()}
    assert odds[0.0] == pytest.approx(4.0) and odds[0.5] == pytest.approx(4**0.75) and odds[1.0] == pytest.approx(2.0)


def test_the_exponent_on_the_target_is_that_of_crest_plus() -> None:
    prior, probs = torch.tensor([0.6, 0.3, 0.1]), draw_probs((40, 3), sharpness=0.5)
    refiner = DistributionAlign(3, prior.tolist(), exponent=1.0, final_exponent=0.5, exponent_on='target')
    for progress, exponent in ((0.0, 1.0), (0.4, 0.8), (1.0, 0.5)):
        refiner.set_progress(progress)
        found = refiner(probs)
        wanted = probs * (prior**exponent / (prior**exponent).sum()) / refiner.current()
        assert torch.allclose(found, wanted / wanted.sum(1, keepdim=True), atol=1e-6)
    refiner = DistributionAlign(3, exponent=0.5, exponent_on='target')
    assert torch.allclose(refiner(probs), probs, atol=1e-6), 'nothing before an estimate'


def test_estimated_changes_nothing_before_an_estimate() -> None:
    refiner, probs = DistributionAlign(3), draw_probs((50, 3))
    assert torch.allclose(refiner(probs), probs, atol=1e-6)
    refiner.target.set_prior([8, 1, 1])
    assert not torch.allclose(refiner(probs), probs, atol=1e-2)


def test_labelled_needs_counts() -> None:
    refiner, probs = DistributionAlign(2, 'labelled').eval(), draw_probs((9, 2))
    with pytest.raises(ValueError, match='ClassCountHook'):
        refiner(probs)
    counts = ClassCounts(('a', 'b'), pixels=[90, 10], num_images=3)
    refiner.target.labelled.bind_prior(PriorLedger(('a', 'b'), [90, 10]), counts)
    given = DistributionAlign(2, 'labelled', class_counts=[90, 10])
    assert torch.equal(refiner(probs), given.eval()(probs))


def test_wrong_targets_are_named() -> None:
    with pytest.raises(ValueError, match='target'):
        DistributionAlign(2, 'best')
    with pytest.raises(ValueError, match='3 entries'):
        DistributionAlign(2, [1, 2, 3])
