"""Levels, links, neighbours, stability, votes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from imbdense.core.change3d import (
    SceneVotes,
    cross_links,
    epoch_pyramid,
    height_above_lowest,
    neighbours_within,
    stability,
)


def cells(seed: int = 0, size: int = 400) -> tuple[np.ndarray, np.ndarray]:
    xyz = np.random.default_rng(seed).uniform(0, 12, (size, 3)) * [1, 1, 0.3]
    coords, index = np.unique(np.floor(xyz).astype(np.int64), axis=0, return_index=True)
    return coords, xyz[index].astype(np.float32)


def test_levels() -> None:
    coords, points = cells()
    levels = epoch_pyramid(coords, points, 3)
    assert [len(level) for level in levels] == [len(np.unique(coords // 2**k, axis=0)) for k in range(4)]
    for fine, coarse in pairwise(levels):
        np.testing.assert_array_equal(coarse.coords[fine.parent], fine.coords // 2)
        for cell in range(len(coarse)):
            mean = fine.points[fine.parent == cell].mean(axis=0)
            np.testing.assert_allclose(coarse.points[cell], mean, rtol=1e-5)
        order = np.lexsort(coarse.coords.T[::-1])
        np.testing.assert_array_equal(order, np.arange(len(coarse)))
    assert [len(level) for level in epoch_pyramid(coords[:0], points[:0], 2)] == [0, 0, 0]
    with pytest.raises(ValueError, match='sorted'):
        epoch_pyramid(coords[::-1].copy(), points, 1)


@pytest.mark.parametrize('k', [1, 3])
def test_links_equal_all_pairs(k: int) -> None:
    here, there = (epoch_pyramid(*cells(seed, 60), 2) for seed in (0, 1))
    for level, found in enumerate(cross_links(here, there, 1.0, neighbours=k, max_nn=1.0)):
        gap = np.linalg.norm(here[level].points[:, None] - there[level].points[None], axis=2)
        order = np.argsort(gap, axis=1)[:, :k]
        for row, (index, weight) in enumerate(zip(found.index, found.weight)):
            near = [int(other) for other in order[row] if gap[row, other] < 2**level]
            assert [int(other) for other in index if other >= 0] == near
            assert weight.sum() == pytest.approx(1.0 if near else 0.0, abs=1e-5)
    empty = cross_links(here, epoch_pyramid(*(part[:0] for part in cells()), 2), 1.0, neighbours=k)
    assert all((link.index == -1).all() and not link.weight.any() for link in empty)


def test_neighbours() -> None:
    _, points = cells()
    rng = np.random.default_rng(0)
    table = neighbours_within(points, points, 1.5, 999, rng)
    gap = np.linalg.norm(points[:, None] - points[None], axis=2) <= 1.5
    for row, near in zip(table, gap):
        assert sorted(row[row >= 0]) == np.flatnonzero(near).tolist()
    few = neighbours_within(points, points, 1.5, 3, np.random.default_rng(0))
    assert few.shape[1] == 3 and few.dtype == np.int32
    assert all(gap[row, near].all() for row, near in enumerate(np.where(few < 0, np.arange(len(few))[:, None], few)))
    np.testing.assert_array_equal(few, neighbours_within(points, points, 1.5, 3, np.random.default_rng(0)))
    assert neighbours_within(points[:0], points, 1.0, 3, rng).shape == (0, 0)


def test_hand_crafted_features() -> None:
    ground = np.column_stack([np.mgrid[0:10, 0:10].reshape(2, -1).T, np.zeros(100)]).astype(float)
    roof = ground + [0, 0, 6.0]
    assert stability(ground, ground, 1.5).min() == 1.0  # the same single surface
    assert stability(roof, ground, 1.5).max() == 0.0  # all the other epoch has lies 6 m below
    both = stability(ground, np.concatenate([ground, roof]), 1.5)
    assert both == pytest.approx(0.5)
    assert stability(ground, ground[:0], 1.5).tolist() == [0.0] * 100
    assert height_above_lowest(roof, ground, 5.0).tolist() == [6.0] * 100
    assert height_above_lowest(roof, ground[:0], 5.0).tolist() == [0.0] * 100


def test_votes() -> None:
    points = np.array([[0.0, 0, 0], [1, 0, 0], [1.5, 0, 0], [9, 0, 0]])
    votes = SceneVotes(4, 2)
    votes.add(np.array([0, 1]), np.log(np.array([[0.9, 0.1], [0.4, 0.6]], np.float32)))
    votes.add(np.array([1]), np.log(np.array([[0.45, 0.55]], np.float32)))
    assert votes.labels(points, 2.0).tolist() == [0, 1, 1, 0]  # the third takes its neighbour's, the last is too far
    assert votes.votes.tolist() == [1, 2, 0, 0]
    assert SceneVotes(2, 3).labels(points[:2], 2.0).tolist() == [0, 0]
