"""Lazy greedy equals greedy, and both keep their promise."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from imbdense.core.selection.expected_coverage import Shows, greedy_coverage


def draw(seed: int, images: int = 14, modes: int = 9, objects: int = 40) -> Shows:
    """Random objects."""
    rng = np.random.default_rng(seed)
    return Shows.of(rng.integers(0, images, objects), rng.integers(0, modes, objects), rng.random(objects), images)


def value(shows: Shows, images: list[int], unseen: np.ndarray) -> float:
    """f(A), term by term."""
    still = unseen.copy()
    for image in images:
        for entry in range(len(shows.image)):
            if shows.image[entry] == image:
                still[shows.mode[entry]] *= 1 - shows.chance[entry]
    return float((unseen - still).sum())


def plain_greedy(shows: Shows, unseen: np.ndarray, costs: np.ndarray, budget: float) -> list[int]:
    """Every gain computed anew in every step."""
    chosen: list[int] = []
    left = budget
    while True:
        base = value(shows, chosen, unseen)
        gains = {i: (value(shows, [*chosen, i], unseen) - base) / costs[i]
                 for i in range(len(costs)) if i not in chosen and costs[i] <= left}
        gains = {i: gain for i, gain in gains.items() if gain > 1e-12}
        if not gains:
            return chosen
        best = min(gains, key=lambda i: (-gains[i], i))
        chosen.append(best)
        left -= costs[best]


@pytest.mark.parametrize('seed', range(6))
def test_lazy_equals_plain(seed: int) -> None:
    shows, rng = draw(seed), np.random.default_rng(seed)
    unseen, costs = rng.random(9), rng.choice([0.5, 1.0, 2.0], 14)
    images, gains = greedy_coverage(shows, unseen, costs, 5.0)
    assert images == plain_greedy(shows, unseen, costs, 5.0)
    assert gains.sum() == pytest.approx(value(shows, images, unseen)) and costs[images].sum() <= 5.0


@pytest.mark.parametrize('seed', range(4))
def test_the_guarantee_with_unit_costs(seed: int) -> None:
    shows, unseen = draw(seed, images=9), np.ones(9)
    images, gains = greedy_coverage(shows, unseen, np.ones(9), 3)
    best = max(value(shows, list(some), unseen) for some in combinations(range(9), 3))
    assert best >= gains.sum() >= (1 - 1 / np.e) * best and len(images) == 3


def test_one_dear_image_can_be_better_than_the_cheap_one() -> None:
    """By gain per cost the cheap image comes first, and the dear one is then too dear."""
    shows = Shows.of(np.array([0, 1, 1, 1]), np.array([0, 1, 2, 3]), np.ones(4), 2)
    images, gains = greedy_coverage(shows, np.ones(4), np.array([1.0, 10.0]), 10.0)
    assert images == [1] and gains.tolist() == pytest.approx([3.0])


def test_image_zero_may_be_the_best_single_one() -> None:
    shows = Shows.of(np.array([0, 0, 0, 1]), np.array([0, 1, 2, 3]), np.ones(4), 2)
    assert greedy_coverage(shows, np.ones(4), np.array([10.0, 1.0]), 10.0)[0] == [0]


def test_objects_of_one_mode_in_one_image() -> None:
    shows = Shows.of(np.array([2, 2]), np.array([1, 1]), np.array([0.5, 0.5]), 4)
    assert shows.chance.tolist() == pytest.approx([0.75]) and shows.of_image(2) == slice(0, 1)


def test_nothing_to_gain() -> None:
    empty = Shows.of(np.zeros(0, int), np.zeros(0, int), np.zeros(0), 3)
    assert greedy_coverage(empty, np.ones(1), np.ones(3), 5)[0] == []
    assert greedy_coverage(draw(0), np.zeros(9), np.ones(14), 5)[0] == []
