"""The eleven numbers of a neighbourhood: lines, planes, bushes, a slow reference, origins, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from imbdense.core.points.local_geometry import GEOMETRY, local_geometry

COLUMN = {name: number for number, name in enumerate(GEOMETRY)}


def around(xyz: np.ndarray, k: int) -> np.ndarray:
    return cKDTree(xyz).query(xyz, k)[1]


def slow(xyz: np.ndarray, index: np.ndarray) -> list[float]:
    """One point, as the definition reads."""
    points = xyz[index[index >= 0]]
    d = points - points.mean(axis=0)
    values, vectors = np.linalg.eigh(d.T @ d / len(d))
    e, v = np.maximum(values[::-1], 0), vectors[:, ::-1]
    l1, l2, l3 = np.sqrt(e)
    total = sum(e[i] * np.abs(v[:, i]) for i in range(3))
    normal = v[:, 2] if v[2, 2] >= 0 else -v[:, 2]
    return [
        (l1 - l2) / (l1 + 1e-3), (l2 - l3) / (l1 + 1e-3), l3 / (l1 + 1e-3), total[2] / np.linalg.norm(total), *normal,
        l1, np.sqrt(l1 * l2 + 1e-6), np.cbrt(l1 * l2 * l3 + 1e-9), l3 / (l1 + l2 + l3 + 1e-3),
    ]  # fmt: skip


def test_end_of_a_line() -> None:
    """40 points from 0 to 1 along x; 8 neighbours of the end are 1/39 apart: λ1 = √(63/12)/39 = .05875."""
    line = np.zeros((40, 3))
    line[:, 0] = np.arange(40) / 39
    found = local_geometry(line, around(line, 8))[0]
    expected = dict(linearity=0.983, planarity=0, scattering=0, verticality=0, normal_x=0, normal_y=0, normal_z=1,
                    length=0.05875, surface=1e-3, volume=1e-3, curvature=0)  # fmt: skip
    for name, value in expected.items():
        assert found[COLUMN[name]] == pytest.approx(value, abs=5e-4), name


def test_planes_and_posts() -> None:
    grid = np.stack(np.meshgrid(np.arange(5.0), np.arange(5.0)), -1).reshape(-1, 2)
    flat = np.c_[grid, np.full(25, 3.0)]
    wall = np.c_[grid[:, 0], np.full(25, 3.0), grid[:, 1]]
    post = np.c_[np.zeros((25, 2)), np.arange(25.0)]
    everybody = np.tile(np.arange(25), (25, 1))
    for xyz, planarity, verticality, normal_z in ((flat, 1, 0, 1), (wall, 1, 0.7071, 0), (post, 0, 1, None)):
        found = local_geometry(xyz, everybody)[0]
        assert found[COLUMN['planarity']] == pytest.approx(planarity, abs=2e-3)
        assert found[COLUMN['verticality']] == pytest.approx(verticality, abs=1e-3)
        assert normal_z is None or found[COLUMN['normal_z']] == pytest.approx(normal_z, abs=1e-6)


def test_slanted_line_has_the_upmost_normal() -> None:
    line = np.outer(np.arange(10.0), [1.0, 0.0, 1.0])
    normal = local_geometry(line, np.tile(np.arange(10), (10, 1)))[0, 4:7]
    np.testing.assert_allclose(normal, [-np.sqrt(0.5), 0, np.sqrt(0.5)], atol=1e-6)


def test_equals_the_slow_definition() -> None:
    xyz = np.random.default_rng(0).normal(size=(300, 3)) * [3, 1, 0.2]
    index = around(xyz, 12)
    index[::3, 9:] = -1
    found = local_geometry(xyz, index)
    np.testing.assert_allclose(found, [slow(xyz, row) for row in index], atol=2e-6)


def test_far_from_the_origin_turned_and_reordered() -> None:
    rng = np.random.default_rng(1)
    xyz = rng.normal(size=(200, 3)) * [2, 1, 0.05]
    index = around(xyz, 10)
    found = local_geometry(xyz, index)
    np.testing.assert_allclose(local_geometry(xyz + [7e5, 6.6e6, 100], index), found, atol=1e-4)
    turn = np.array([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1]])
    turned = local_geometry(xyz @ turn.T, index)
    np.testing.assert_allclose(turned[:, [0, 1, 2, 6, 7, 8, 9, 10]], found[:, [0, 1, 2, 6, 7, 8, 9, 10]], atol=1e-5)
    np.testing.assert_allclose(turned[:, 4:7], found[:, 4:7] @ turn.T, atol=1e-4)
    shuffled = rng.permuted(index, axis=1)
    np.testing.assert_allclose(local_geometry(xyz, shuffled), found, atol=1e-6)


def test_too_few_neighbours_and_one_place() -> None:
    xyz = np.zeros((4, 3))
    index = np.tile(np.arange(4), (4, 1))
    index[0, 1:] = -1
    found = local_geometry(xyz, index)
    assert (found[0] == 0).all()
    assert found[1, COLUMN['normal_z']] == 1 and found[1, COLUMN['linearity']] == 0 and np.isfinite(found).all()
    assert local_geometry(np.zeros((0, 3)), np.zeros((0, 5), int)).shape == (0, 11)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r'expected xyz \(N, 3\)'):
        local_geometry(np.zeros((3, 2)), np.zeros((3, 1), int))
    with pytest.raises(ValueError, match='point 1 is'):
        local_geometry([[0, 0, 0], [np.nan, 0, 0]], [[0], [1]])
    with pytest.raises(ValueError, match='there are 1'):
        local_geometry([[0, 0, 0]], [[1]])
