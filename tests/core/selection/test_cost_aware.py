"""Budgets of minutes."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from imbdense.core.selection import OFDS, CostAware, FacilityLocation, KCenterGreedy, ProbCover, RandomSelector, ZCore
from tests.core.selection.test_facility_location import cosines
from tests.helpers.selection_pools import pool_of, random_pool


@pytest.mark.parametrize('inner', [FacilityLocation(), ProbCover(), FacilityLocation(level='image'), ZCore(draws=200)])
def test_unit_costs_give_the_choice_of_the_selector(inner) -> None:
    pool = random_pool()
    assert CostAware(inner)(pool, 12, selected=[1]).image_ids == inner(pool, 12, selected=[1]).image_ids


def test_value_is_at_least_the_guaranteed_share_of_the_best() -> None:
    rng = np.random.default_rng(0)
    for _ in range(8):
        x = rng.normal(size=(9, 3)).astype(np.float32)
        cost = rng.uniform(0.3, 3, size=9).astype(np.float32)
        similarity = cosines(x)
        sets = [list(s) for size in range(1, 10) for s in combinations(range(9), size) if cost[list(s)].sum() <= 4]
        best = max(similarity[:, s].max(1).sum() for s in sets)
        result = CostAware(FacilityLocation(k=8))(pool_of(x, img_cost=cost), 4.0)
        picked = [choice.image for choice in result.choices if choice.rule != 'fill']
        assert cost[result.images].sum() <= 4 * (1 + 1e-6)
        assert similarity[:, picked].max(1).sum() >= 0.5 * (1 - 1 / np.e) * best - 1e-6


def test_one_dear_image_can_beat_many_cheap_ones() -> None:
    """Five rows in one ball (10 minutes) against a lone row (1 minute, better per minute), budget 10."""
    pool = pool_of([0.0, 0.1, 0.2, 0.3, 0.4, 99.0], img_cost=np.array([10, 10, 10, 10, 10, 1], np.float32))
    result = CostAware(ProbCover(delta=0.5, normalize=False))(pool, 10)
    assert result.images.tolist() == [0] and result.choices[0].rule == 'single best' and result.cost == 10


def test_images_that_cost_too_much_are_skipped_and_paid_for_once() -> None:
    pool = pool_of([0.0, 50.0, 0.1, 0.2, 99.0], [0, 0, 1, 2, 3], img_cost=np.array([2, 1, 1, 9], np.float32))
    result = CostAware(ProbCover(delta=0.5, normalize=False))(pool, 3)
    assert set(result.images.tolist()) == {0, 1} or set(result.images.tolist()) == {1, 2}
    assert result.cost <= 3


@pytest.mark.parametrize(('cost', 'minutes', 'images'), [(0.1, 1, 10), (0.2, 1.0, 5), (0.3, 3, 10), (0.7, 7, 10)])
def test_decimals_add_up(cost: float, minutes: float, images: int) -> None:
    """img_cost is float32: ten times the number next to 0.1 is 1.000000015."""
    pool = pool_of(np.random.default_rng(0).normal(size=(30, 3)), img_cost=np.full(30, cost, np.float32))
    assert len(CostAware(FacilityLocation())(pool, minutes)) == images


def test_budget_zero_and_nothing_affordable() -> None:
    pool = pool_of([0.0, 1.0], img_cost=np.array([5, 5], np.float32))
    for minutes in (0, 0.0, 4.9):
        assert len(CostAware(FacilityLocation())(pool, minutes)) == 0
    with pytest.raises(ValueError, match='budget'):
        CostAware(FacilityLocation())(pool, -1.0)


def test_selectors_without_a_score_are_refused() -> None:
    for other in (RandomSelector(), KCenterGreedy()):
        with pytest.raises(TypeError, match='FacilityLocation, ProbCover, ZCore'):
            CostAware(other)
    with pytest.raises(ValueError, match='class_object'):
        CostAware(FacilityLocation(level='class_object'))


def test_record_names_the_wrapped_selector() -> None:
    record = CostAware(ProbCover(delta=1.0))(random_pool(), 2).selector
    assert record['type'] == 'CostAware' and record['selector']['type'] == 'ProbCover'
    assert record['selector']['delta'] == 1.0


def test_minutes_that_pay_for_nothing_are_told() -> None:
    pool = random_pool(img_cost=np.full(40, 0.5, np.float32))
    for selector in (CostAware(FacilityLocation()), OFDS(cost='img_cost', verify=None)):
        nothing = selector(pool, 0.1)
        assert len(nothing) == 0 and '0.1 minutes pay for no image: the cheapest takes 0.5.' in nothing.notes
        assert not any('pay for no image' in note for note in selector(pool, 0.5).notes)
