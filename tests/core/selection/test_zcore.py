"""ZCore: the distribution of its draws, its weights, and a written-out reference."""

from __future__ import annotations

import numpy as np

from imbdense.core.selection import FeatureRows, ZCore
from imbdense.core.selection.zcore import _score, redundancy, triangular, zcore_scores
from tests.helpers.selection_pools import pool_of, random_pool


def test_triangular_draws() -> None:
    rng = np.random.default_rng(0)
    low, mode, high = np.array([-1.0, 0, 2]), np.array([0.5, 0, 2]), np.array([2.0, 1, 2])
    ours = triangular(low, mode, high, rng.random((200_000, 3)))
    assert np.allclose(ours[:, 2], 2)
    for column in range(2):
        theirs = rng.triangular(low[column], mode[column], high[column], 200_000)
        assert np.allclose(np.quantile(ours[:, column], [0.05, 0.3, 0.6, 0.9]),
                           np.quantile(theirs, [0.05, 0.3, 0.6, 0.9]), atol=0.02)


def test_weights_fall_with_the_fourth_power_and_add_up_to_one() -> None:
    assert np.allclose(redundancy(np.array([1.0, 2.0])), [16 / 17, 1 / 17])
    assert redundancy(np.array([0.0, 0.0, 3.0])).tolist() == [0.5, 0.5, 0.0]


def test_equals_the_written_out_draws() -> None:
    """Full distance vectors and a sort for each draw."""
    view = np.random.default_rng(0).normal(size=(80, 2))
    ours, slow = np.zeros(80), np.zeros(80)
    _score(ours, view, 64, 10, np.random.default_rng(5))
    uniform = np.random.default_rng(5).random((64, 2))
    for point in triangular(view.min(0), np.median(view, 0), view.max(0), uniform):
        winner = np.abs(view - point).sum(1).argmin()
        slow[winner] += 1
        apart = np.abs(view - view[winner]).sum(1)
        near = np.argsort(apart)[1:11]
        slow[near] -= apart[near] ** -4.0 / (apart[near] ** -4.0).sum()
    assert np.allclose(ours, slow)


def test_scores_lie_in_the_unit_interval_and_rows_alone_score_high() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(scale=0.02, size=(95, 4)), rng.uniform(-1, 1, size=(5, 4))]).astype(np.float32)
    scores = zcore_scores(FeatureRows(x), 2000, 1000, np.random.default_rng(0))
    assert scores.min() == 0 and scores.max() == 1
    assert scores[95:].mean() > scores[:95].mean()


def test_best_scores_first_and_edges() -> None:
    result = ZCore(draws=200)(random_pool(), 12, selected=[0])
    gains = [choice.gain for choice in result.choices]
    assert gains == sorted(gains, reverse=True)
    assert ZCore(draws=50)(pool_of([[1.0, 1.0]] * 5), 3).images.tolist() != []
    assert ZCore(draws=5, normalize=False)(pool_of([2.0]), 1).images.tolist() == [0]


def test_of_equal_rows_the_first_keeps_its_score() -> None:
    """argmin names the first copy in every view, so the second one only loses."""
    x = np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32)
    scores = zcore_scores(FeatureRows(np.concatenate([x, x])), 4000, 1000, np.random.default_rng(0))
    assert (scores[:100] > scores[100:]).mean() > 0.95


def test_row_order_does_not_matter() -> None:
    x = np.random.default_rng(1).normal(size=(60, 5)).astype(np.float32)
    order = np.random.default_rng(2).permutation(60)
    one = zcore_scores(FeatureRows(x), 500, 20, np.random.default_rng(0))
    two = zcore_scores(FeatureRows(x[order]), 500, 20, np.random.default_rng(0))
    assert np.allclose(one[order], two)
