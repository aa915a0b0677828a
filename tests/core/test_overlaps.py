"""IoU of boxes and of regions."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.overlaps import box_iou, region_iou


def test_boxes_and_crowd() -> None:
    assert box_iou([[0, 0, 2, 2]], [[1, 1, 3, 3]])[0, 0] == pytest.approx(1 / 7)
    assert box_iou([[0, 0, 2, 2]], [[0, 0, 10, 10]], crowd=[True])[0, 0] == 1.0
    assert box_iou([[1, 1, 1, 1]], [[1, 1, 1, 1]])[0, 0] == 0.0
    assert box_iou(np.zeros((0, 4)), [[0, 0, 1, 1]]).shape == (0, 1)


def test_regions_by_hand() -> None:
    first = np.array([[1, 1, 0], [1, 1, 3]])
    second = np.array([[0, 1, 1], [0, 1, 1]])
    assert region_iou(first, second) == pytest.approx(np.array([[2 / 6], [0.0], [1 / 4]]))  # region 2 has no pixel


def test_regions_against_masks() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 6, (2, 3, 20, 30), dtype=np.uint8)
    slow = [
        [((first == i) & (second == j)).sum() / ((first == i) | (second == j)).sum() for j in range(1, 6)]
        for i in range(1, 6)
    ]
    assert np.allclose(region_iou(first, second), slow, atol=1e-15)


def test_regions_without_any_and_wrong_maps() -> None:
    assert region_iou(np.zeros((4, 4), int), np.ones((4, 4), int)).shape == (0, 1)
    assert region_iou(np.zeros((0, 4), int), np.zeros((0, 4), int)).shape == (0, 0)
    with pytest.raises(ValueError, match='one shape'):
        region_iou(np.zeros((4, 4), int), np.zeros((4, 5), int))
    with pytest.raises(ValueError, match='negative'):
        region_iou(np.full((2, 2), -1), np.zeros((2, 2), int))
