"""Folds: every image once, nothing of the held-out fold reaches the fit, and an interval that refuses noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from imbdense.core.inference import HeldOutGain, assign_folds, cross_validate


def test_folds_are_even_seeded_and_complete() -> None:
    fold = assign_folds(23, 5, seed=3)
    assert sorted(np.bincount(fold).tolist()) == [4, 4, 5, 5, 5]
    assert np.array_equal(fold, assign_folds(23, 5, seed=3)) and not np.array_equal(fold, assign_folds(23, 5, seed=4))
    with pytest.raises(ValueError, match='5 folds need at least 5 images, but there are 3'):
        assign_folds(3, 5)


def test_the_fit_never_sees_the_held_out_fold() -> None:
    seen: list[tuple[int, ...]] = []

    def fit(folds: Sequence[int]) -> tuple[int, ...]:
        seen.append(tuple(folds))
        return tuple(folds)

    def score(parameter: tuple[int, ...] | None, folds: Sequence[int]) -> float:
        assert parameter is None or not set(parameter) & set(folds)
        return 0.0

    cross_validate(4, fit, score)
    assert seen == [(1, 2, 3), (0, 2, 3), (0, 1, 3), (0, 1, 2)]


def test_overfitting_shows_no_gain() -> None:
    """Random labels: the best of many thresholds wins on the data it was chosen on, but not held out."""
    rng = np.random.default_rng(0)
    x, y, fold = rng.random(400), rng.random(400) < 0.5, assign_folds(400, 5)
    rules = [lambda v, a=a, b=b: ((v * a) % 1) > b for a in range(1, 60) for b in (0.3, 0.5, 0.7)]

    def accuracy(rule: int | None, folds: Sequence[int]) -> float:
        keep = np.isin(fold, list(folds))
        return float(((x[keep] > 0.5 if rule is None else rules[rule](x[keep])) == y[keep]).mean())

    def fit(folds: Sequence[int]) -> int:
        return int(np.argmax([accuracy(rule, folds) for rule in range(len(rules))]))

    gain = cross_validate(5, fit, accuracy)
    everything = [0, 1, 2, 3, 4]
    assert accuracy(fit(everything), everything) - accuracy(None, everything) > 0.04  # what a leak would report
    assert gain.mean < 0.04 and not gain.recommended


def test_interval_by_hand() -> None:
    gain = HeldOutGain((0.0,) * 5, (0.01, 0.02, 0.03, 0.04, 0.05), (None,) * 5)
    half = 2.776445 * 0.0158114 / math.sqrt(5)
    assert gain.mean == pytest.approx(0.03) and gain.std == pytest.approx(0.0158114, abs=1e-6)
    assert gain.interval == pytest.approx((0.03 - half, 0.03 + half), abs=1e-6) and gain.recommended


def test_no_gain_is_not_recommended() -> None:
    assert not HeldOutGain((0.5,) * 3, (0.5,) * 3, (None,) * 3).recommended
    assert not HeldOutGain((0.0, 0.0, 0.0), (0.1, -0.05, 0.1), (None,) * 3).recommended
    lonely = HeldOutGain((math.nan, 0.0), (math.nan, 0.1), (None,) * 2)
    assert lonely.gains.size == 1 and not lonely.recommended and math.isnan(lonely.std)


def test_the_rival_is_fitted_on_the_same_folds() -> None:
    gain = cross_validate(3, lambda folds: sum(folds), lambda p, folds: float(p), fit_plain=lambda folds: -sum(folds))
    assert gain.plain == (-3.0, -2.0, -1.0) and gain.fitted == (3.0, 2.0, 1.0)
