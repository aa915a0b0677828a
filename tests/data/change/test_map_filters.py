"""Minimum mapping unit and polygon majority on maps small enough to see."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rasterio')

from rasterio.transform import from_origin

from imbdense.data.change.map_filters import minimum_mapping_unit, polygon_majority


def test_small_patches_and_small_holes_go() -> None:
    changed = np.zeros((6, 8), bool)
    changed[0, 0] = changed[1, 1] = True  # two patches: corners do not connect
    changed[2:6, 4:8] = True
    changed[3, 5] = False
    found = minimum_mapping_unit(changed, pixel_area=100.0, least_area=300.0)
    expected = np.zeros((6, 8), bool)
    expected[2:6, 4:8] = True
    assert found.dtype == bool and np.array_equal(found, expected)
    assert np.array_equal(minimum_mapping_unit(changed, 100.0, 100.0), changed)


def test_a_patch_of_exactly_the_least_area_stays() -> None:
    label = np.zeros((3, 5), np.uint8)
    label[1, 1:4] = 7
    assert np.array_equal(minimum_mapping_unit(label, 0.1, 0.3), label)
    assert not minimum_mapping_unit(label, 0.1, 0.31).any()


def test_invalid_pixels_stay_and_take_no_part() -> None:
    label = np.zeros((1, 5), np.uint8)
    label[0, 2], label[0, 4] = 255, 3
    found = minimum_mapping_unit(label, 1.0, 2.0, valid=label != 255)
    assert found[0, 2] == 255 and found[0, :2].tolist() == [0, 0]


def square(left: float, top: float, side: float) -> dict:
    right, bottom = left + side, top - side
    ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    return {'type': 'Polygon', 'coordinates': [ring]}


def test_majority_where_it_is_clear() -> None:
    label = np.zeros((4, 8), np.uint8)
    label[:, :4] = 2
    label[0, 0] = 1  # 15 of 16 pixels are 2
    label[:2, 4:] = 5  # half of 16
    label[3, 3] = 255
    transform = from_origin(100.0, 50.0, 10.0, 10.0)
    found = polygon_majority(label, [square(100, 50, 40), square(140, 50, 40)], transform)
    expected = label.copy()
    expected[0, 0] = 2
    assert np.array_equal(found, expected)
    assert (polygon_majority(label, [square(140, 50, 40)], transform, least_share=0.5)[:, 4:] == 0).all()
    assert np.array_equal(polygon_majority(label, [], transform), label)


def test_messages() -> None:
    with pytest.raises(ValueError, match='pixel_area'):
        minimum_mapping_unit(np.zeros((2, 2), np.uint8), 0.0, 1.0)
    with pytest.raises(ValueError, match='least_share'):
        polygon_majority(np.zeros((2, 2), np.uint8), [], None, least_share=0.0)
