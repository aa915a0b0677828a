"""Facility location: the worked example, naive greedy, and the stochastic form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csc_matrix

from imbdense.core.selection import FacilityLocation, FeatureRows
from imbdense.core.selection.lazy_greedy import lazy_greedy, stochastic_greedy
from imbdense.core.selection.neighbour_cover import NeighbourCover, neighbour_similarity
from tests.helpers.selection_pools import pool_of, random_pool


def naive(similarity: np.ndarray, budget: int, seeds: tuple[int, ...] = ()) -> tuple[list[int], float]:
    """All gains anew in every step."""
    best = similarity[:, list(seeds)].max(1) if seeds else np.zeros(len(similarity))
    rows: list[int] = []
    for _ in range(budget):
        gains = np.maximum(similarity - best[:, None], 0).sum(0)
        gains[[*rows, *seeds]] = -1
        rows.append(int(gains.argmax()))
        best = np.maximum(best, similarity[:, rows[-1]])
    return rows, float(best.sum())


def cosines(x: np.ndarray) -> np.ndarray:
    unit = x.astype(np.float64) / np.linalg.norm(x, axis=1, keepdims=True)
    return np.maximum(unit @ unit.T, 0)


def test_worked_example() -> None:
    """Gains 1.9, 2.0, 1.3: row 1; then .2 and .8: row 2; value 2.8."""
    cover = NeighbourCover(csc_matrix(np.array([[1, 0.8, 0.1], [0.8, 1, 0.2], [0.1, 0.2, 1]])))
    assert np.allclose(cover.gains(), [1.9, 2.0, 1.3])
    picks = lazy_greedy(cover, np.arange(3))
    assert next(picks) == (1, 2.0)
    assert np.isclose(next(picks)[1], 0.8) and np.isclose(cover.gain(0), 0.2)
    cover.add(2)
    assert np.isclose(cover.value, 2.8)


@pytest.mark.parametrize('seed', range(6))
def test_lazy_equals_naive(seed: int) -> None:
    similarity = np.random.default_rng(seed).random((90, 90))
    cover = NeighbourCover(csc_matrix(similarity))
    cover.add(3)
    picks = lazy_greedy(cover, np.delete(np.arange(90), 3))
    rows = [next(picks)[0] for _ in range(30)]
    cover.add(rows[-1])
    assert (rows, cover.value) == (naive(similarity, 30, (3,))[0], pytest.approx(naive(similarity, 30, (3,))[1]))


@pytest.mark.parametrize('seed', range(4))
def test_selector_equals_naive_on_the_dense_matrix(seed: int) -> None:
    """Up to exact ties: two rows that are each other's best have equal gains, and rounding decides."""
    x = random_pool(seed, images=120, objects=120).obj_feat
    result = FacilityLocation(k=119)(pool_of(x), 25, selected=[3, 60])
    similarity, seeds = cosines(x), [3, 60]
    for place, choice in enumerate(result.choices):
        best = similarity[:, seeds + result.images[:place].tolist()].max(1)
        gains = np.maximum(similarity - best[:, None], 0).sum(0)
        assert gains[choice.image] >= gains.max() - 1e-5 and np.isclose(choice.gain, gains[choice.image], atol=1e-5)
    chosen = seeds + result.images.tolist()
    assert np.isclose(similarity[:, chosen].max(1).sum(), naive(similarity, 25, (3, 60))[1], rtol=1e-3)


def test_graph_holds_the_nearest_rows_and_the_row_itself() -> None:
    x = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    found = neighbour_similarity(FeatureRows(x), 6).toarray()
    full = cosines(x)
    np.fill_diagonal(full, 2)
    kept = full >= np.sort(full, 1)[:, -7][:, None]
    np.fill_diagonal(full, 1)
    assert np.allclose(found, np.where(kept, full, 0), atol=1e-5)


def test_stochastic_reaches_ninety_percent_of_naive() -> None:
    x = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    value = naive(cosines(x), 15)[1]
    for seed in range(20):
        result = FacilityLocation(k=199, stochastic=True)(pool_of(x), 15, seed=seed)
        assert cosines(x)[:, result.images].max(1).sum() >= 0.9 * value
    assert not FacilityLocation(stochastic=True).prefix and FacilityLocation().prefix


def test_stochastic_with_all_rows_is_greedy() -> None:
    similarity = cosines(np.random.default_rng(1).normal(size=(50, 3)))
    picks = stochastic_greedy(NeighbourCover(csc_matrix(similarity)), np.arange(50), 50, np.random.default_rng(0))
    assert [next(picks)[0] for _ in range(8)] == naive(similarity, 8)[0]


def test_options_are_checked_and_recorded() -> None:
    with pytest.raises(ValueError, match='k must be'):
        FacilityLocation(k=0)
    with pytest.raises(ValueError, match='epsilon'):
        FacilityLocation(epsilon=0.0)
    assert FacilityLocation(k=7)(pool_of([1.0, 2.0]), 1).selector == {
        'type': 'FacilityLocation', 'level': 'object', 'normalize': True, 'k': 7, 'stochastic': False, 'epsilon': 0.1}
