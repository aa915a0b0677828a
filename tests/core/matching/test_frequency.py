"""Matching in which rare targets are answered by several queries."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from imbdense.core.matching import cap_matches, match_with_copies, matches_per_class


def test_hand_example() -> None:
    assert matches_per_class([0.5, 1.2e-3, 3e-4], scale=2.0, threshold=1.2e-3).tolist() == [1, 2, 4]
    assert matches_per_class([1.0, 0.3], threshold=1e-9).tolist() == [1, 1]


def test_a_class_without_images_is_treated_like_the_rarest() -> None:
    assert matches_per_class([0.5, 3e-4, 0.0]).tolist() == [1, 4, 4]


@pytest.mark.parametrize('wrong', [[1.5, 0.1], [-0.1, 0.2], [0.0, 0.0], [[0.1]], [float('nan')]])
def test_wrong_shares_are_refused(wrong: list[float]) -> None:
    with pytest.raises(ValueError, match='matches_per_class'):
        matches_per_class(wrong)


def test_the_largest_numbers_are_lowered_until_the_queries_suffice() -> None:
    assert cap_matches([4, 2, 1], 5).tolist() == [2, 2, 1]
    assert cap_matches([4, 2, 1], 7).tolist() == [4, 2, 1]
    assert cap_matches([3, 3], 1).tolist() == [1, 1]
    assert cap_matches([], 5).tolist() == []


def test_single_copies_are_the_hungarian_assignment() -> None:
    cost = np.random.default_rng(0).random((6, 3))
    queries, targets = match_with_copies(cost, [1, 1, 1])
    best = min(itertools.permutations(range(6), 3), key=lambda rows: sum(cost[r, t] for t, r in enumerate(rows)))
    assert dict(zip(targets.tolist(), queries.tolist(), strict=True)) == dict(enumerate(best))


def test_copies_against_brute_force() -> None:
    """Target 1 takes the two queries that are cheapest in sum with the one of target 0."""
    cost = np.random.default_rng(1).random((5, 2))
    queries, targets = match_with_copies(cost, [1, 2])
    assert sorted(targets.tolist()) == [0, 1, 1] and len(set(queries.tolist())) == 3
    best = min(
        cost[a, 0] + cost[b, 1] + cost[c, 1] for a, b, c in itertools.permutations(range(5), 3)
    )
    assert cost[queries, targets].sum() == pytest.approx(best)


def test_more_targets_than_queries_and_none_at_all() -> None:
    queries, targets = match_with_copies(np.arange(6.0).reshape(2, 3), [1, 1, 1])
    assert len(queries) == len(targets) == 2
    assert match_with_copies(np.zeros((4, 0)), np.zeros(0, int))[0].size == 0


def test_costs_that_are_not_finite_are_named() -> None:
    with pytest.raises(ValueError, match='NaN or infinite'):
        match_with_copies([[np.nan]], [1])
    with pytest.raises(ValueError, match=r'\(Q, G\)'):
        match_with_copies(np.zeros((2, 2)), [1])
