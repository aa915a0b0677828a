"""Thresholds by how often each class is labelled."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbdense.core.pseudo_label import QuantileThreshold, class_adaptive_portions, labelled_frequency_ranks
from imbdense.core.stats import ClassCounts, PriorLedger
from tests.core.pseudo_label.rules import draw_probs


def test_portions_by_hand() -> None:
    assert class_adaptive_portions(torch.tensor([100.0, 10, 1])).tolist() == pytest.approx([0.3, 0.949, 1], abs=1e-3)
    assert class_adaptive_portions(torch.tensor([100.0, 0])).tolist() == pytest.approx([0.3, 1.0])


def test_ranks_by_hand() -> None:
    """10 labelled images with 40 and 4 boxes; of 25 unlabelled ones 100 and 10 are to be kept."""
    assert labelled_frequency_ranks(torch.tensor([500, 7]), torch.tensor([40.0, 4.0]), 2.5).tolist() == [100, 7]


def test_auto_keeps_boxes_as_frequent_as_the_labels() -> None:
    rule = QuantileThreshold(2, class_counts=[40, 4], labelled_images=10, round_steps=None)
    generator = torch.Generator().manual_seed(0)
    scores = 0.35 + 0.55 * torch.rand(1000, generator=generator)
    labels = (torch.rand(1000, generator=generator) < 0.3).long()
    for part in range(25):
        rule.observe(scores[part::25], labels[part::25])
    rule.end_round()
    status = rule.select(scores, labels) == 1
    assert status[labels == 0].sum() == pytest.approx(100, abs=4)
    assert status[labels == 1].sum() == pytest.approx(10, abs=2)


def test_auto_stays_in_its_range() -> None:
    rule = QuantileThreshold(2, class_counts=[10, 1000], labelled_images=10, round_steps=None)
    rule.observe(torch.cat([torch.full((900,), 0.99), torch.full((20,), 0.1)]), torch.arange(920) // 900, images=10)
    rule.end_round()
    assert rule.thresholds().tolist() == pytest.approx([0.95, 0.3])


def test_auto_counts_pixels_against_labelled_pixels() -> None:
    rule = QuantileThreshold(2, class_counts=[800, 200], round_steps=1)
    probs = torch.full((1, 2, 10, 100), 0.4)
    probs[:, 1] = torch.linspace(0.5, 0.9, 1000).view(10, 100)  # all 1000 pixels are predicted as 1; 200 are wanted
    rule(probs / probs.sum(1, keepdim=True))
    confidence = (probs[:, 1] / probs.sum(1)).flatten().sort(descending=True).values
    assert rule.thresholds()[1].item() == pytest.approx(confidence[199].item(), abs=0.0013)


def test_class_adaptive_is_the_quantile() -> None:
    rule = QuantileThreshold(3, 'class_adaptive', class_counts=[100, 10, 1], round_steps=None)
    probs = draw_probs((30000, 3))
    rule(probs)
    rule.end_round()
    confidence, predicted = (value.numpy() for value in probs.max(1))
    for klass, share in enumerate([0.3, 0.9487, 1.0]):
        exact = np.quantile(confidence[predicted == klass], 1 - share)
        assert rule.thresholds()[klass].item() == pytest.approx(exact, abs=0.0015)


def test_items_end_a_round_as_well() -> None:
    rule = QuantileThreshold(2, class_counts=[10, 10], labelled_images=10, round_steps=3)
    scores = torch.tensor([0.8, 0.7, 0.6, 0.5])
    for step in range(3):
        assert rule.rounds.steps == 0 and rule.images == step
        rule.observe(scores, torch.tensor([0, 0, 1, 1]))
    assert rule.rounds.steps == 1 and rule.images == 0  # of six predictions per class three are wanted
    assert rule.thresholds().tolist() == pytest.approx([0.8, 0.6], abs=0.0013)
    rule.eval().observe(scores, torch.tensor([0, 0, 1, 1]))
    assert rule.images == 0 and rule.histogram.counts.sum() == 0


def ledger_and_counts(**units: list[int]) -> tuple[PriorLedger, ClassCounts]:
    counts = ClassCounts(('a', 'b'), num_images=10, **units)
    return PriorLedger(('a', 'b'), next(iter(units.values()))), counts


def test_counts_can_be_handed_over() -> None:
    rule = QuantileThreshold(2, round_steps=None)
    with pytest.raises(ValueError, match='ClassCountHook'):
        rule.end_round()
    rule.labelled.bind_prior(*ledger_and_counts(instances=[40, 4]))
    assert rule.labelled.read().tolist() == [40, 4] and rule.labelled.units == 10
    rule.labelled.bind_prior(*ledger_and_counts(pixels=[300, 100]))
    assert rule.labelled.units == 400
    again = QuantileThreshold(2, round_steps=None)
    again.load_state_dict(rule.state_dict())
    assert again.labelled.read().tolist() == [300, 100]


def test_given_counts_stay() -> None:
    rule = QuantileThreshold(2, class_counts=[5, 5])
    rule.labelled.bind_prior(*ledger_and_counts(pixels=[300, 100]))
    assert rule.labelled.read().tolist() == [5, 5]


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match='keep'):
        QuantileThreshold(2, 'half')
    with pytest.raises(ValueError, match='class_counts'):
        QuantileThreshold(2, class_counts=[1, 2, 3])
    with pytest.raises(ValueError, match='labelled_images'):
        QuantileThreshold(2, class_counts=[1, 2], labelled_images=0)
