"""Thresholds with a bound on the share of wrong labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binom

from imbdense.core.pseudo_label import BudgetedThreshold, budgeted_thresholds, clopper_pearson_upper
from imbdense.core.pseudo_label.budgeted import GRID


def test_the_limit_by_hand() -> None:
    assert clopper_pearson_upper(0, 100, 0.05) == pytest.approx(1 - 0.05**0.01)
    assert clopper_pearson_upper(0, 10, 0.05) == pytest.approx(0.2589, abs=1e-4)
    assert clopper_pearson_upper([3, 0], [3, 0], 0.05).tolist() == [1, 1]


@pytest.mark.parametrize(('wrong', 'total'), [(1, 20), (7, 90), (30, 31)])
def test_the_limit_is_where_so_few_mistakes_have_the_error_probability(wrong: int, total: int) -> None:
    assert binom.cdf(wrong, total, clopper_pearson_upper(wrong, total, 0.05)) == pytest.approx(0.05)


def test_the_lowest_admissible_threshold_and_abstention() -> None:
    scores = np.concatenate([np.full(100, 0.9), np.full(100, 0.6), np.full(10, 0.9)])
    predicted = np.repeat([0, 0, 1], [100, 100, 10])
    correct = np.concatenate([np.ones(100), np.arange(100) % 2, np.ones(10)]).astype(bool)
    found = budgeted_thresholds(scores, predicted, correct, 3, alpha=0.1, grid=[0.5, 0.7])
    assert found.threshold.tolist() == [0.7, np.inf, np.inf]
    assert found.accepted.tolist() == [100, 0, 0] and found.wrong.tolist() == [0, 0, 0]
    assert found.bound[0] == pytest.approx(1 - 0.025**0.01) and found.bound[1] > 0.1 and found.bound[2] == 1


def test_the_rule_abstains_and_says_so() -> None:
    rule = BudgetedThreshold(2, alpha=0.1)
    probs = torch.tensor([[0.99, 0.01], [0.01, 0.99]])
    assert rule(probs).accepted.tolist() == [0, 0] and rule.abstaining() == [0, 1]
    rule.calibrate(np.full(200, 0.97), np.zeros(200, int), np.ones(200, bool))
    assert rule.abstaining() == [1] and rule(probs).label.tolist() == [0, -1]
    assert rule.select(torch.tensor([0.99, 0.99]), torch.tensor([0, 1])).tolist() == [1, 0]


def draw(generator: np.random.Generator, items: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An over-confident model; the rare class is worse."""
    predicted = (generator.random(items) < 0.1).astype(int)
    scores = generator.beta(4, 1, items)
    truth = scores ** np.where(predicted == 1, 4.0, 2.0)
    return scores, predicted, generator.random(items) < truth


def test_the_promise_is_kept() -> None:
    """Over many calibration sets the true share of wrong labels exceeds alpha in at most 5 % for each class.

    Taking the lowest threshold at which the share *counted* is below alpha breaks it often.
    """
    generator = np.random.default_rng(0)
    scores, predicted, correct = draw(generator, 400_000)
    true_share = np.array(
        [[(~correct[(predicted == c) & (scores >= t)]).mean() for t in GRID] for c in range(2)]
    )
    broken, used, naive = np.zeros(2), np.zeros(2), np.zeros(2)
    for _ in range(200):
        sample = draw(generator, 1500)
        found = budgeted_thresholds(*sample, 2, alpha=0.3)
        for klass in range(2):
            if np.isfinite(found.threshold[klass]):
                used[klass] += 1
                broken[klass] += true_share[klass, np.searchsorted(GRID, found.threshold[klass])] > 0.3
            own = [(sample[1] == klass) & (sample[0] >= t) for t in GRID]
            counted = np.array([(~sample[2][kept]).mean() if kept.any() else 1.0 for kept in own])
            naive[klass] += true_share[klass, (counted <= 0.3).argmax()] > 0.3
    print(f'\nused {used}, broken {broken}, broken by the counted share {naive}')
    assert (used > 20).all() and (broken <= 0.05 * used).all() and (naive > 0.05 * 200).all(), (used, broken, naive)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match='alpha'):
        BudgetedThreshold(2, alpha=0)
    with pytest.raises(ValueError, match='correct'):
        budgeted_thresholds([0.5], [0], [True, False], 2)
