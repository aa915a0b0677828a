"""Self-training between two Gaussians, as the theory of Yang & Xu (2020) has it.

500 labelled points of one class and 5 of the other; a classifier of class means labels 2500 more points, without a
threshold, and is fitted anew on all. Error = mean of the two classes' errors on fresh points.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from imbdense.core.pseudo_label import FixedThreshold, class_adaptive_portions
from imbdense.core.sampling import imbalance_profile

DIMENSIONS, HALF_DISTANCE, SEEDS = 10, 1.25, 20
Points = NDArray[np.float64]


def draw(rng: np.random.Generator, counts: NDArray[np.int64]) -> tuple[Points, NDArray[np.int64]]:
    """Points of both classes, and their classes."""
    labels = np.repeat([0, 1], counts)
    points = rng.normal(size=(labels.size, DIMENSIONS))
    points[:, 0] += np.where(labels == 1, HALF_DISTANCE, -HALF_DISTANCE)
    return points, labels


def fit(points: Points, labels: NDArray[np.int64]) -> tuple[Points, float]:
    """Normal and offset of the plane halfway between the class means."""
    first, second = points[labels == 0].mean(0), points[labels == 1].mean(0)
    normal = second - first
    return normal, -float(normal @ (first + second)) / 2


def probabilities(model: tuple[Points, float], points: Points) -> torch.Tensor:
    """(N, 2): a logistic function of the distance."""
    right = torch.sigmoid(torch.from_numpy(points @ model[0] + model[1]))
    return torch.stack([1 - right, right], 1)


def error(model: tuple[Points, float], points: Points, labels: NDArray[np.int64]) -> float:
    """Mean of the classes' errors."""
    predicted = probabilities(model, points).argmax(1).numpy()
    return float(np.mean([(predicted[labels == c] != c).mean() for c in (0, 1)]))


def errors(seed: int, rho_unlabelled: float, relevance: float) -> tuple[float, float]:
    """(base, self-trained)."""
    rng = np.random.default_rng(seed)
    labelled, truth = draw(rng, np.array([500, 5]))
    base = fit(labelled, truth)
    second = round(2500 / (1 + rho_unlabelled))
    unlabelled, _ = draw(rng, np.array([2500 - second, second]))
    strangers = rng.permutation(2500)[: round(2500 * (1 - relevance))]
    unlabelled[strangers] = rng.normal(size=(strangers.size, DIMENSIONS))
    unlabelled[strangers, 0] += 4 * HALF_DISTANCE  # a third Gaussian, beyond the rare class
    pseudo = FixedThreshold(num_classes=2, threshold=0.0)(probabilities(base, unlabelled).float())
    assert pseudo.accepted.all()
    again = fit(np.concatenate([labelled, unlabelled]), np.concatenate([truth, pseudo.label.numpy()]))
    fresh = draw(rng, np.array([2000, 2000]))
    return error(base, *fresh), error(again, *fresh)


@pytest.mark.parametrize('rho_unlabelled', [1, 50])
def test_relevant_data_lower_the_balanced_error(rho_unlabelled: float) -> None:
    found = np.array([errors(seed, rho_unlabelled, 1.0) for seed in range(SEEDS)])
    base, trained = found.mean(0)
    assert trained < base - 0.005, (base, trained)
    assert (found[:, 1] < found[:, 0]).sum() >= 15


def test_balanced_unlabelled_data_help_more_than_imbalanced_ones() -> None:
    mean = {rho: np.mean([errors(seed, rho, 1.0)[1] for seed in range(SEEDS)]) for rho in (1, 50)}
    assert mean[1] < mean[50] - 0.005, mean


@pytest.mark.parametrize('rho_unlabelled', [1, 50])
def test_data_that_are_mostly_something_else_raise_it(rho_unlabelled: float) -> None:
    """60 % of the unlabelled points come from a third Gaussian."""
    found = np.array([errors(seed, rho_unlabelled, 0.4) for seed in range(SEEDS)])
    base, trained = found.mean(0)
    assert trained > base + 0.05, (base, trained)


def test_worked_example_of_the_profiles() -> None:
    """Three classes, 100 : 1: labels 100, 10, 1; five times as many unlabelled, balanced: 185 each."""
    labelled = 100 * imbalance_profile('exp', 3, 100.0)
    np.testing.assert_allclose(labelled, [100, 10, 1])
    first = np.floor(5 * labelled.sum() / 3)
    np.testing.assert_allclose(first * imbalance_profile('exp', 3, 1.0), [185, 185, 185])


def test_worked_example_of_the_adaptive_shares() -> None:
    portions = class_adaptive_portions(torch.tensor([100, 10, 1]), 0.3)
    torch.testing.assert_close(portions, torch.tensor([0.3, 0.949, 1.0]).double(), atol=5e-4, rtol=0)
