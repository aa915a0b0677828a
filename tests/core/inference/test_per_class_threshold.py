"""Thresholds: the hand example of prior thresholding, exact search against a slow one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbdense.core.inference import best_threshold, one_vs_rest_thresholds, prior_threshold


def test_prior_threshold_hand_example() -> None:
    probs, prior = torch.tensor([0.7, 0.2, 0.1]), [0.8, 0.15, 0.05]
    plain = prior_threshold(probs, prior)
    assert plain.tolist() == pytest.approx([0.875, 1.3333333, 2.0]) and int(plain.argmax()) == 2
    assert prior_threshold(probs, prior, renorm=True).tolist() == pytest.approx([0.2079, 0.3168, 0.4752], abs=5e-5)


def test_prior_threshold_on_maps_and_a_class_without_prior() -> None:
    probs = torch.rand(2, 3, 4, 5)
    out = prior_threshold(probs, [0.5, 0.5, 0.0])
    assert torch.allclose(out[:, 0], probs[:, 0] / 0.5) and torch.equal(out[:, 2], probs[:, 2])
    with pytest.raises(ValueError, match='3 priors but 2 classes'):
        prior_threshold(probs[:, :2], [0.5, 0.5, 0.0])


def quality(criterion: str, decided: np.ndarray, truth: np.ndarray, weight: np.ndarray, missed: float) -> float:
    hit, alarm = weight[decided & truth].sum(), weight[decided & ~truth].sum()
    lost = weight[~decided & truth].sum() + missed
    if criterion == 'youden':
        return hit / (hit + lost) - alarm / weight[~truth].sum()
    return hit / (hit + alarm + lost) if criterion == 'iou' else 2 * hit / (2 * hit + alarm + lost)


@pytest.mark.parametrize('criterion', ['f1', 'iou', 'youden'])
def test_exact_search(criterion: str) -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        scores, truth = rng.integers(0, 8, 25) / 8, rng.random(25) < 0.4
        weight, missed = rng.random(25), float(rng.integers(0, 2)) * 1.5
        if not truth.any() or truth.all():
            continue
        found = best_threshold(scores, truth, weight, criterion=criterion, missed=missed)
        every = [quality(criterion, scores > cut, truth, weight, missed) for cut in np.arange(-1, 9) / 8 - 1 / 16]
        assert found.quality == pytest.approx(max(every))
        assert quality(criterion, scores > found.value, truth, weight, missed) == pytest.approx(found.quality)


def test_f1_and_iou_choose_the_same_cut() -> None:
    rng = np.random.default_rng(3)
    scores, truth = rng.random(200), rng.random(200) < 0.2
    assert best_threshold(scores, truth).value == best_threshold(scores, truth, criterion='iou').value


def test_errors() -> None:
    with pytest.raises(ValueError, match='no positive'):
        best_threshold([0.1, 0.2], [False, False])
    with pytest.raises(ValueError, match='needs negatives'):
        best_threshold([0.1], [True], criterion='youden')
    with pytest.raises(ValueError, match='criterion must be one of'):
        best_threshold([0.1], [True], criterion='f2')


def test_rare_class_gets_the_lower_threshold_and_an_absent_one_is_named() -> None:
    rng = np.random.default_rng(0)
    target = (rng.random(5000) < 0.05).astype(int)
    z = np.where(target == 1, 1.5, -1.5) + rng.normal(size=5000) * 1.2 - 2.0
    p = 1 / (1 + np.exp(-z))
    probs = np.column_stack([1 - p, p, np.zeros(5000)])
    thresholds, empty = one_vs_rest_thresholds(probs, target)
    assert thresholds[1] < 0.5 and empty == [2] and thresholds[2] == pytest.approx(1 / 3)
