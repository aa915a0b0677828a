"""Cylinders to learn from: class frequencies of the centres, rejection, the grid that covers, weights."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from imbdense.core.change3d import CropCentres, CylinderDraw, cylinder_grid


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A square of class 0 with a corner of class 1, some ignored."""
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(0, 50, (4000, 2)), np.zeros(4000)])
    labels = ((points[:, 0] < 5) & (points[:, 1] < 5)).astype(np.int64)
    labels[::50] = -1
    return points, labels


@pytest.mark.parametrize(('tau', 'counts'), [(0.0, None), (0.5, None), (1.0, None), (-1.0, None), (0.5, [900, 100, 5])])
def test_classes_come_as_often_as_said(tau: float, counts: list[float] | None) -> None:
    points, labels = scene()
    centres = CropCentres(points, labels, 1.0, tau, counts)
    cells = {klass: len(np.unique(np.floor(points[labels == klass]), axis=0)) for klass in (0, 1)}
    assert centres.count.tolist() == [cells[0], cells[1]]
    amounts = np.array([900, 100]) if counts else centres.count
    expected = amounts.astype(float) ** -tau / (amounts.astype(float) ** -tau).sum()
    rng = np.random.default_rng(1)
    drawn = np.array([centres.draw(rng)[:2] for _ in range(1500)])
    rare = ((drawn < 5).all(axis=1)).mean()
    assert rare == pytest.approx(expected[1], abs=4 * np.sqrt(0.25 / 1500))


def test_faults() -> None:
    points, labels = scene()
    with pytest.raises(ValueError, match='no point has a label'):
        CropCentres(points, np.full(len(points), -1), 1.0, 0.5)
    with pytest.raises(ValueError, match='class_counts has 1'):
        CropCentres(points, labels, 1.0, 0.5, [5.0])


def test_crops_without_enough_points_are_drawn_again() -> None:
    points, labels = scene()
    half = points[points[:, 0] > 25]  # epoch 1 has nothing in the west
    centres, trees = CropCentres(points, labels, 1.0, -1.0), [cKDTree(cloud[:, :2]) for cloud in (half, points)]
    draws = [CylinderDraw.draw(centres, *trees, 4.0, np.random.default_rng(seed)) for seed in range(40)]
    assert all(len(draw.index1) >= 32 for draw in draws) and any(draw.rejected for draw in draws)
    for draw in draws[:5]:
        inside = np.flatnonzero(np.hypot(*(points - draw.centre)[:, :2].T) <= 4.0)
        np.testing.assert_array_equal(draw.index2, inside)
    nothing = cKDTree(np.zeros((0, 2)))
    draw = CylinderDraw.draw(centres, nothing, trees[1], 4.0, np.random.default_rng(0))
    assert len(draw.index1) == 0 and len(draw.index2) > 0  # the fullest of ten


def test_grid_covers() -> None:
    points, _ = scene()
    centres = cylinder_grid(points, 5.0)
    gaps = cKDTree(centres).query(points[:, :2])[0]
    assert gaps.max() <= 5.0 / np.sqrt(2) + 1e-9 and len(centres) == 100
