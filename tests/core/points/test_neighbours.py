"""Morton order and neighbours against brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from imbdense.core.points import PointTree, compiled_tree, morton_order, nearest_neighbours, radius_neighbours


def cloud(count: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(count, 3)) * 10


def brute(points: NDArray, queries: NDArray) -> NDArray:
    """All distances."""
    return np.linalg.norm(queries[:, None] - points[None], axis=2)


def test_morton_order_of_a_cube_counts_in_z_x_highest() -> None:
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
    assert morton_order(corners).tolist() == list(range(8))
    assert morton_order(corners[::-1]).tolist() == list(range(7, -1, -1))


def test_morton_order_equals_interleaved_bits() -> None:
    points = cloud(50)
    low = points.min(0)
    steps = ((points - low) * ((2**21 - 1) / (points.max(0) - low).max())).astype(int)
    keys = [int(''.join(bit for bits in zip(*(f'{value:021b}' for value in row)) for bit in bits), 2) for row in steps]
    assert morton_order(points).tolist() == sorted(range(50), key=lambda row: keys[row])


def test_morton_order_brings_neighbours_together() -> None:
    points = np.random.default_rng(0).random((4000, 3))
    ordered = points[morton_order(torch.from_numpy(points))]
    jump, random_jump = (np.linalg.norm(np.diff(rows, axis=0), axis=1).mean() for rows in (ordered, points))
    assert jump < 0.2 * random_jump


def test_equal_points_keep_their_order() -> None:
    assert morton_order(np.ones((5, 3))).tolist() == [0, 1, 2, 3, 4]
    assert morton_order(np.empty((0, 3))).shape == (0,)


def test_nearest_equals_brute_force_for_own_and_other_queries(engine: str) -> None:
    points, others = cloud(200), cloud(30, seed=1)
    for queries in (None, others):
        distance, index = nearest_neighbours(points, 5, queries)
        table = brute(points, points if queries is None else queries)
        np.testing.assert_allclose(distance, np.sort(table, axis=1)[:, :5], atol=1e-12)
        np.testing.assert_array_equal(index, np.argsort(table, axis=1)[:, :5])
    assert (nearest_neighbours(points, 1)[1][:, 0] == np.arange(200)).all()


@pytest.fixture(params=['compiled', 'scipy'])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both trees; the second as where numba is not installed."""
    if request.param == 'compiled':
        pytest.importorskip('numba')
        assert PointTree(cloud(3))._compiled is not None
    else:
        monkeypatch.setattr(compiled_tree, '_kernels', lambda: None)
    return str(request.param)


CLOUDS = {
    'even': cloud(3000), 'flat': cloud(3000) * [1, 1, 0], 'a far point': np.vstack([cloud(2000), [[1e9, 0, -1e9]]]),
    'whole metres, many equal': np.floor(cloud(3000) / 4), 'all equal': np.ones((500, 3)),
    'ever denser': cloud(2000) * 2.0 ** -np.random.default_rng(0).uniform(0, 900, (2000, 1)),
}


@pytest.mark.parametrize('name', CLOUDS)
@pytest.mark.parametrize('k', [1, 7, 40])
def test_distances_are_those_of_scipy_bit_for_bit(engine: str, name: str, k: int) -> None:
    points = CLOUDS[name]
    for queries in (None, cloud(300, seed=1) * 3):
        asked = points if queries is None else queries
        distance, index = nearest_neighbours(points, k, queries)
        np.testing.assert_array_equal(distance, cKDTree(points).query(asked, [*range(1, k + 1)])[0])
        np.testing.assert_allclose(np.linalg.norm(asked[:, None] - points[index], axis=2), distance, rtol=1e-12)
        assert all(len(set(row)) == k for row in index.tolist())


def test_limit_is_exclusive_and_threads_change_nothing(engine: str) -> None:
    points = np.array([[0.0, 0, 0], [1, 0, 0], [3, 0, 0]])
    assert nearest_neighbours(points, 3, max_distance=1.0)[1].tolist() == [[0, -1, -1], [1, -1, -1], [2, -1, -1]]
    distance, index = nearest_neighbours(points, 2, max_distance=2.0)
    assert index.tolist() == [[0, 1], [1, 0], [2, -1]] and distance.tolist() == [[0, 1], [0, 1], [0, np.inf]]
    many = cloud(1000)
    alone = nearest_neighbours(many, 5, max_distance=4.0)
    for workers in (3, -1):
        for one, other in zip(alone, nearest_neighbours(many, 5, max_distance=4.0, workers=workers)):
            np.testing.assert_array_equal(one, other)


def test_fewer_than_k_points_or_too_far(engine: str) -> None:
    points = cloud(3)
    distance, index = nearest_neighbours(points, 5)
    assert (index[:, 3:] == -1).all() and np.isinf(distance[:, 3:]).all() and (index[:, :3] >= 0).all()
    distance, index = nearest_neighbours(points, 2, points + 1000.0, max_distance=1.0)
    assert (index == -1).all() and np.isinf(distance).all()


def test_within_equals_brute_force_and_is_sorted() -> None:
    points, others = cloud(150), cloud(20, seed=2)
    for queries in (None, others):
        found = radius_neighbours(points, 6.0, queries)
        table = brute(points, points if queries is None else queries)
        assert len(found.offsets) == len(table) + 1
        for row, distances in enumerate(table):
            part = slice(found.offsets[row], found.offsets[row + 1])
            wanted = sorted(np.flatnonzero(distances <= 6.0), key=lambda column: (distances[column], column))
            assert found.index[part].tolist() == wanted
            np.testing.assert_allclose(found.distance[part], distances[wanted], atol=1e-12)


def test_empty_clouds_and_queries() -> None:
    tree = PointTree(np.empty((0, 3)))
    assert tree.nearest(2, cloud(4))[1].tolist() == [[-1, -1]] * 4
    assert tree.within(1.0, cloud(4)).offsets.tolist() == [0] * 5
    assert PointTree(cloud(4)).nearest(2, np.empty((0, 3)))[0].shape == (0, 2)
    assert PointTree(cloud(4)).within(2.0, np.empty((0, 3))).offsets.tolist() == [0]


@pytest.mark.parametrize(('points', 'match'), [
    (np.array([[0.0, 0.0, 0.0], [np.nan, 0.0, 0.0]]), 'row 1'), (np.zeros((4, 2)), r'\(N, 3\)'),
])
def test_bad_points_are_named(points: NDArray, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        PointTree(points)
    with pytest.raises(ValueError, match='queries'):
        PointTree(cloud(3)).nearest(1, points)
