"""Foreground classification balance loss."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.losses import foreground_class_balance_loss, labelled_probabilities, objectness_scores
from imbdense.core.stats import RunningConfusion
from tests.core.losses.cases import CLASSES, CONFUSION


def rois(channels: int = CLASSES + 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    pred = 2 * torch.randn(60, channels, generator=generator)
    return pred, torch.randint(0, CLASSES + 1, (60,), generator=generator)


def test_hand_example_of_the_margin() -> None:
    """cm = [[.9, .1], [.4, .6]]: of class 1 the logit of class 0 is raised by log 4, the reverse lowered by as much."""
    confusion = torch.tensor([[0.9, 0.1], [0.4, 0.6]])
    pred = torch.zeros(1, 2)
    for label, odds in ((1, 4.0), (0, 0.25)):
        found = foreground_class_balance_loss(pred, torch.tensor([label]), confusion, alpha=1.0)
        assert found.item() == pytest.approx(math.log(2) + math.log(1 + odds), abs=1e-5)


@pytest.mark.parametrize('channels', [CLASSES, CLASSES + 1])
@pytest.mark.parametrize('competitors_only', [False, True])
def test_against_a_loop_over_elements(channels: int, competitors_only: bool) -> None:
    pred, target = rois(channels)
    confusion = CONFUSION.clone()
    confusion[0, 4] = 0.0  # below the floor of 1e-3
    score = objectness_scores(pred) if channels > CLASSES else pred.sigmoid()
    total = 0.0
    for z, s, y in zip(pred, score, target.tolist(), strict=True):
        for j in range(channels):
            margin, kept = 0.0, True
            if y < CLASSES and j < CLASSES:
                margin = 0.7 * math.log(max(confusion[y, j], 1e-3) / max(confusion[j, y], 1e-3))
                kept = not competitors_only or bool(s[j] >= s[y]) or bool(s[j] >= 0.6)
            term = F.softplus((z[j] + margin) * (-1 if j == y else 1)).item()
            total += term if kept else 0.0
    found = foreground_class_balance_loss(
        pred, target, confusion, alpha=0.7, competitors_only=competitors_only, score_thr=0.6, reduction='sum'
    )
    assert found.item() == pytest.approx(total, rel=1e-5)


def test_nothing_observed_is_binary_cross_entropy() -> None:
    pred, target = rois()
    onehot = F.one_hot(target, CLASSES + 1).float()
    plain = F.binary_cross_entropy_with_logits(pred, onehot, reduction='sum') / 60
    found = foreground_class_balance_loss(pred, target, torch.zeros(CLASSES, CLASSES))
    assert found.item() == pytest.approx(plain.item(), rel=1e-6)


def test_pixels_equal_points() -> None:
    generator = torch.Generator().manual_seed(0)
    pred = torch.randn(2, CLASSES, 4, 5, generator=generator)
    target = torch.randint(0, CLASSES, (2, 4, 5), generator=generator)
    target[0, 0] = 255
    points = pred.movedim(1, -1).reshape(-1, CLASSES)
    assert foreground_class_balance_loss(pred, target, CONFUSION, competitors_only=True).item() == pytest.approx(
        foreground_class_balance_loss(points, target.reshape(-1), CONFUSION, competitors_only=True).item(), rel=1e-6
    )
    seen = observed(labelled_probabilities(pred, target, CLASSES))
    assert torch.allclose(seen, observed(labelled_probabilities(points, target.reshape(-1), CLASSES)), atol=1e-6)


def observed(samples: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    stats = RunningConfusion(CLASSES)
    stats.update(*samples)
    return stats.total


def test_confusion_of_a_slow_loop_leaves_background_and_objectness_out() -> None:
    pred, target = rois()
    target[:5] = -1
    found = observed(labelled_probabilities(pred, target, CLASSES, ignore_index=-1))
    probability = pred[:, :CLASSES].double().softmax(1)
    for klass in range(CLASSES):
        assert torch.allclose(found[klass], probability[target == klass].sum(0), atol=1e-6)
    assert found.sum().item() == pytest.approx(((target >= 0) & (target < CLASSES)).sum().item(), rel=1e-5)


def test_devices_that_choose_no_samples_count_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pred, target = rois()
    target[:5] = 255
    chosen = observed(labelled_probabilities(pred, target, CLASSES))
    monkeypatch.setattr('imbdense.core.losses.bacl.reads_values', lambda tensor: False)
    labels, probability = labelled_probabilities(pred, target, CLASSES)
    assert len(labels) == len(probability) == 60
    assert torch.equal(observed((labels, probability)), chosen)
