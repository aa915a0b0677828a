from __future__ import annotations

import numpy as np
import pytest

from imbdense.data.scene import polygon as p

L_SHAPE = np.array([[0, 0], [4, 0], [4, 2], [2, 2], [2, 5], [0, 5]], float)
BOW_TIE = np.array([[0, 0], [2, 2], [2, 0], [0, 2]], float)


def test_area_and_orientation() -> None:
    assert p.signed_area(L_SHAPE) == pytest.approx(14)
    assert p.signed_area(L_SHAPE[::-1]) == pytest.approx(-14)


def test_clean_removes_closing_repeated_and_collinear_points_and_turns_clockwise_rings() -> None:
    ring = np.array([[0, 0], [0, 2], [2, 2], [2, 1], [2, 0], [2, 0], [0, 0]], float)
    cleaned = p.clean(ring)
    assert len(cleaned) == 4 and p.signed_area(cleaned) == pytest.approx(4)


@pytest.mark.parametrize('shape', [L_SHAPE, p.rectangle((3, 4), (2, 1), 0.4), p.convex_hull(BOW_TIE)])
def test_ear_clipping_covers_the_area_without_overlap(shape: np.ndarray) -> None:
    faces = p.triangulate(shape)
    areas = [p.signed_area(shape[face]) for face in faces]
    assert len(faces) == len(shape) - 2 and min(areas) > 0 and sum(areas) == pytest.approx(p.signed_area(shape))


def test_crossing_edges_are_found() -> None:
    assert p.is_simple(L_SHAPE) and not p.is_simple(BOW_TIE)


def test_bounding_rectangle_of_a_turned_rectangle() -> None:
    center, half, angle = p.bounding_rectangle(p.rectangle((3, 4), (5, 2), 0.3))
    assert center == pytest.approx([3, 4]) and sorted(half) == pytest.approx([2, 5])
    assert np.cos(2 * (angle - 0.3)) ** 2 == pytest.approx(1)
