"""Whole numbers in proportion: by hand, against a slow water-filling, and what must always hold."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.selection.apportion import apportion, fair_shares


def test_largest_remainders_by_hand() -> None:
    """2 over sizes 3, 2, 2: shares .857, .571, .571; nothing whole; the two largest remainders, ties by index."""
    assert np.round(fair_shares(2, [3, 2, 2], [3, 2, 2]), 3).tolist() == [0.857, 0.571, 0.571]
    assert apportion(2, [3, 2, 2], [3, 2, 2]).tolist() == [1, 1, 0]


def test_water_filling_by_hand() -> None:
    """Equal weights, caps 2, 100, 100: the first gives what it cannot use to the others."""
    assert apportion(30, [1, 1, 1], [2, 100, 100]).tolist() == [2, 14, 14]
    assert apportion(31, [1, 1, 1], [2, 100, 100]).tolist() == [2, 15, 14]


def test_what_is_there_counts() -> None:
    """20 in all; the first has 15 already: it gets no more, the others share the rest."""
    assert apportion(20, [1, 1, 1], [50, 50, 50], [15, 0, 1]).tolist() == [15, 3, 2]


def slow_shares(total: float, weight: np.ndarray, cap: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Bisection on the level."""
    low, high = 0.0, 1e9
    for _ in range(200):
        level = (low + high) / 2
        low, high = (level, high) if np.clip(level * weight, floor, cap).sum() < total else (low, level)
    return np.clip(high * weight, floor, cap)


def test_always() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        n = int(rng.integers(1, 12))
        cap = rng.integers(0, 20, n)
        floor = np.minimum(rng.integers(0, 4, n), cap)
        weight = rng.uniform(0.1, 5, n)
        total = int(rng.integers(0, 120))
        given = apportion(total, weight, cap, floor)
        wanted = int(np.clip(total, floor.sum(), cap.sum()))
        shares = slow_shares(wanted, weight, cap.astype(float), floor.astype(float))
        assert given.sum() == wanted and (given >= floor).all() and (given <= cap).all()
        assert np.abs(fair_shares(total, weight, cap, floor) - shares).max() < 1e-6
        assert np.abs(given - shares).max() < 1


def test_carried_remainders_take_turns() -> None:
    """One of five each time: without memory always the first, with it each in its turn."""
    carry = np.zeros(5)
    turns = [int(apportion(1, np.ones(5), np.full(5, 9), carry=carry).argmax()) for _ in range(5)]
    assert turns == [0, 1, 2, 3, 4]
    assert [int(apportion(1, np.ones(5), np.full(5, 9)).argmax()) for _ in range(2)] == [0, 0]


def test_nothing_and_errors() -> None:
    assert apportion(5, [], []).tolist() == []
    assert apportion(0, [1, 2], [3, 3]).tolist() == [0, 0]
    with pytest.raises(ValueError, match='one length'):
        apportion(1, [1], [1, 2])
    with pytest.raises(ValueError, match='floor'):
        apportion(1, [1], [1], [2])
    with pytest.raises(ValueError, match='weights'):
        apportion(1, [0], [1])
