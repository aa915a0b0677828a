"""The ground under a cloud: what stands out is removed, slopes stay."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.points.ground import ground_height
from tests.helpers.point_scenes import ground_at, street


def test_hand_example() -> None:
    """A post of one point on a plane of height 3."""
    x, y = np.meshgrid(np.arange(10.0), np.arange(10.0))
    plane = np.column_stack([x.ravel(), y.ravel(), np.full(100, 3.0)])
    points = np.concatenate([plane, [[4.2, 4.2, 9.0]]])
    assert ground_height(points, cell=2.0, window=6.0) == pytest.approx(np.full(101, 3.0))


def test_height_above_sloping_ground_is_found_under_objects() -> None:
    scene = street(3)
    local = scene['xyz'] - [770_000, 6_277_000, 120]
    found = ground_height(local, cell=1.0, window=24.0)
    error = found - ground_at(local[:, 0], local[:, 1])
    assert np.median(np.abs(error)) < 0.1
    assert np.quantile(np.abs(error), 0.95) < 0.6


def test_a_window_smaller_than_a_roof_takes_it_for_ground() -> None:
    x, y = np.meshgrid(np.arange(0, 40, 0.5), np.arange(0, 40, 0.5))
    z = np.where((np.abs(x - 20) < 8) & (np.abs(y - 20) < 8), 10.0, 0.0)
    points = np.column_stack([x.ravel(), y.ravel(), z.ravel()])
    middle = (np.abs(points[:, 0] - 20) < 2) & (np.abs(points[:, 1] - 20) < 2)
    assert ground_height(points, cell=1.0, window=8.0)[middle].min() == pytest.approx(10)
    assert ground_height(points, cell=1.0, window=24.0)[middle].max() == pytest.approx(0)


def test_moving_the_cloud_moves_the_ground() -> None:
    points = street(1)['xyz'] - [770_000, 6_277_000, 120]
    moved = ground_height(points + [0, 0, 50.0], cell=1.0, window=20.0)
    assert moved == pytest.approx(ground_height(points, cell=1.0, window=20.0) + 50)


def test_empty_single_and_wrong_input() -> None:
    assert ground_height(np.zeros((0, 3))).shape == (0,)
    assert ground_height(np.array([[1.0, 2.0, 3.0]])) == pytest.approx([3.0])
    with pytest.raises(ValueError, match=r'\(N, 3\)'):
        ground_height(np.zeros((4, 2)))
    with pytest.raises(ValueError, match='cell'):
        ground_height(np.zeros((4, 3)), cell=5.0, window=1.0)
    with pytest.raises(ValueError, match='tiles'):
        ground_height(np.array([[0, 0, 0], [1e9, 1e9, 0.0]]))
