"""The most likely prior: it undoes a known shift, matches the class amounts, and leaves a calibrated model alone."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.inference import likelihood_offsets


def softmax_data(n: int = 20000) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are the true log posteriors of their targets; the last channel is background."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(n, 3)) * 2 + np.array([-1.0, -2.0, 1.0])
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return logits, (rng.random((n, 1)) > probs.cumsum(axis=1)).sum(axis=1).clip(0, 2)


def test_a_calibrated_softmax_is_left_alone_and_a_shift_undone() -> None:
    logits, target = softmax_data()
    weight = np.ones(len(target))
    assert likelihood_offsets(logits, target, weight, 2) == pytest.approx([0, 0], abs=0.08)
    moved = logits + np.array([1.0, -5.0, 0.0])
    found = likelihood_offsets(moved, target, weight, 2)
    assert found == pytest.approx([-1.0, 5.0], abs=0.08)
    shifted = moved + np.append(found, 0.0)
    probs = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    assert probs.sum(axis=0)[:2] == pytest.approx(np.bincount(target)[:2], rel=1e-3)


def test_without_background_the_mean_is_zero() -> None:
    logits, target = softmax_data()
    found = likelihood_offsets(logits + np.array([0.0, -3.0, 0.0]), target, np.ones(len(target)), 3)
    assert found.sum() == pytest.approx(0.0, abs=1e-9) and found[1] - found[0] == pytest.approx(3.0, abs=0.1)


def test_sigmoids_and_weights() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(20000, 1)) * 2 - 3
    target = np.where(rng.random(20000) < 1 / (1 + np.exp(-z[:, 0])), 0, 1)
    weight = np.ones(20000)
    assert likelihood_offsets(z - 5, target, weight, 1, use_sigmoid=True)[0] == pytest.approx(5.0, abs=0.1)
    keep = (target == 0) | (np.arange(20000) % 4 == 0)  # a quarter of the negatives, weighted up
    part = likelihood_offsets(z[keep], target[keep], np.where(target == 0, 1.0, 4.0)[keep], 1, use_sigmoid=True)
    assert part[0] == pytest.approx(0.0, abs=0.15)


def test_absent_and_separated_classes() -> None:
    logits = np.array([[30.0, 0.0, 0.0], [0.0, 0.0, 30.0]])
    found = likelihood_offsets(logits, np.array([0, 2]), np.ones(2), 2)
    assert found[1] == 0.0 and np.isfinite(found).all()
