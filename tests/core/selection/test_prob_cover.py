"""ProbCover against a dense graph, and the choice of its radius."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.selection import FeatureRows, ProbCover, kmeans, prob_cover
from imbdense.core.selection.ball_graph import BallGraph
from imbdense.core.selection.prob_cover import pure_radius
from tests.helpers.selection_pools import pool_of, random_pool


def dense(x: np.ndarray, delta: float, budget: int, seeds: list[int] = []) -> tuple[list[int], list[int]]:  # noqa: B006
    """All pairs, all counts anew in every step."""
    ball = np.sqrt(((x[:, None].astype(np.float64) - x[None]) ** 2).sum(-1)) < delta
    covered = ball[seeds].any(0)
    rows, gains = [], []
    free = np.ones(len(x), dtype=bool)
    free[seeds] = False
    for _ in range(budget):
        count = np.where(free, (ball & ~covered).sum(1), -1)
        row = int(count.argmax())
        rows.append(row)
        gains.append(int(count[row]))
        covered |= ball[row]
        free[row] = False
    return rows, gains


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('delta', [0.3, 1.5, 3.0])
def test_equals_the_dense_graph(seed: int, delta: float) -> None:
    x = np.random.default_rng(seed).normal(size=(730, 3)).astype(np.float32)
    result = ProbCover(normalize=False, delta=delta)(pool_of(x), 40, selected=[1, 700])
    rows, gains = dense(x, delta, 40, [1, 700])
    assert result.images.tolist() == rows and [choice.gain for choice in result.choices] == gains


def test_the_last_rows_have_balls_too(monkeypatch) -> None:
    """730 rows in blocks of 500: the densest place is among the last 230."""
    monkeypatch.setattr('imbdense.core.selection.ball_graph.BLOCK', 500)
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-50, 50, size=(600, 2)), rng.normal(scale=0.1, size=(130, 2))]).astype(np.float32)
    result = ProbCover(normalize=False, delta=0.5)(pool_of(x), 5)
    assert result.images[0] >= 600 and result.images.tolist() == dense(x, 0.5, 5)[0]


def test_the_ball_is_open_and_holds_its_centre() -> None:
    graph = BallGraph(FeatureRows(np.array([[0.0], [0.1], [0.2], [0.30000001]], dtype=np.float32)), 0.1)
    exact = np.abs(np.float32([0, 0.1, 0.2, 0.3])[:, None] - np.float32([0, 0.1, 0.2, 0.3])) ** 2 < 0.1 * 0.1
    for row in range(4):
        assert row in graph.ball(row) and graph.ball(row).tolist() == np.flatnonzero(exact[row]).tolist()


def test_radius_is_the_largest_with_pure_balls() -> None:
    x = np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)
    radius = pure_radius(FeatureRows(x), 5, seed=0)
    labels = kmeans(x, 5, seed=0).labels
    distance = np.sqrt(((x[:, None].astype(np.float64) - x[None]) ** 2).sum(-1))

    def purity(delta: float) -> float:
        return float((~((distance < delta) & (labels[:, None] != labels[None])).any(1)).mean())

    assert purity(radius * 0.9999) >= 0.95 > purity(radius * 1.0001) - 1e-9
    result = ProbCover(normalize=False)(pool_of(x), 3)
    assert np.allclose(result.report['deltas'], [radius])


def test_radius_of_equal_rows() -> None:
    assert pure_radius(FeatureRows(np.ones((9, 2), np.float32)), 2, seed=0) == 1.0
    assert pure_radius(FeatureRows(np.ones((1, 2), np.float32)), 2, seed=0) == 1.0


def test_too_many_pairs_are_told_and_sources_drawn(monkeypatch) -> None:
    monkeypatch.setattr(prob_cover, 'MAX_EDGES', 2000)
    pool = random_pool(objects=300, images=100)
    result = ProbCover(delta=1.0)(pool, 10, selected=[4])
    assert 'can be chosen' in result.notes[0] and len(result) == 10
    assert result.images.tolist() == ProbCover(delta=1.0)(pool, 10, selected=[4]).images.tolist()


def test_delta_must_be_positive() -> None:
    with pytest.raises(ValueError, match='delta'):
        ProbCover(delta=0.0)
