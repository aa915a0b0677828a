"""Coordinate ascent never falls, finds a known offset, and equals a slow search over one class."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.inference import fit_iou_offsets, table_score, weighted_confusion


def problem(seed: int = 0, n: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = rng.choice(3, n, p=[0.8, 0.15, 0.05])
    logits = rng.normal(size=(n, 3))
    logits[np.arange(n), target] += 3.0
    return logits, target, np.where(target == 0, 2.0, 1.0)


def reached(logits: np.ndarray, target: np.ndarray, weight: np.ndarray, offsets: np.ndarray) -> float:
    return table_score(weighted_confusion((logits + offsets).argmax(1), target, weight, 3))


def test_a_spoiled_class_is_repaired() -> None:
    logits, target, weight = problem()
    good = reached(logits, target, weight, np.zeros(3))
    spoiled = logits + np.array([0.0, 0.0, -4.0])
    offsets = fit_iou_offsets(spoiled, target, weight)
    assert reached(spoiled, target, weight, np.zeros(3)) < good - 0.1
    assert reached(spoiled, target, weight, offsets) >= good - 0.005
    assert offsets.sum() == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize('seed', range(4))
def test_never_worse_and_first_step_is_the_slow_search(seed: int) -> None:
    logits, target, weight = problem(seed, 500)
    before = reached(logits, target, weight, np.zeros(3))
    offsets = fit_iou_offsets(logits, target, weight, rounds=1)
    slow = max(reached(logits, target, weight, np.array([b, 0.0, 0.0])) for b in np.linspace(-6, 6, 61))
    assert reached(logits, target, weight, offsets) >= max(slow, before) - 1e-9


def test_absent_class_and_no_pixel() -> None:
    logits, target, weight = problem()
    keep = target < 2
    assert np.isfinite(fit_iou_offsets(logits[keep], target[keep], weight[keep])).all()
    with pytest.raises(ValueError, match='no labelled pixel'):
        fit_iou_offsets(np.zeros((0, 3)), np.zeros(0, dtype=int), np.zeros(0))
