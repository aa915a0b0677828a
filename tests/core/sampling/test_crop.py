"""Window placement, class and pixel draws, and following a pixel through resize and flip."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.sampling import class_histogram, draw_class, draw_pixel, map_position, place_window


def test_window_holds_the_pixel_and_every_allowed_corner_is_drawn_equally():
    rng = np.random.default_rng(0)
    corners = np.array([place_window((20, 30), (6, 8), rng, (3, 28)) for _ in range(6000)])
    tops, top_counts = np.unique(corners[:, 0], return_counts=True)
    lefts, left_counts = np.unique(corners[:, 1], return_counts=True)
    assert tops.tolist() == [0, 1, 2, 3], 'the pixel lies 3 rows from the top border'
    assert lefts.tolist() == [21, 22], 'and 1 column from the right one'
    assert top_counts.min() > 1300 and left_counts.min() > 2800


@pytest.mark.parametrize('pixel', [(0, 0), (0, 29), (19, 0), (19, 29), (10, 15)])
def test_window_near_borders_and_corners_stays_inside_and_holds_the_pixel(pixel):
    rng = np.random.default_rng(1)
    for _ in range(200):
        top, left = place_window((20, 30), (7, 9), rng, pixel)
        assert 0 <= top <= 13 and 0 <= left <= 21
        assert top <= pixel[0] < top + 7 and left <= pixel[1] < left + 9


def test_array_smaller_than_the_window_has_corner_zero():
    assert place_window((5, 30), (8, 8), np.random.default_rng(0), (2, 3))[0] == 0
    assert place_window((5, 5), (8, 8), np.random.default_rng(0)) == (0, 0)
    assert place_window((8, 8), (8, 8), np.random.default_rng(0), (7, 7)) == (0, 0)


def test_volumes_have_three_corners():
    corner = place_window((20, 20, 20), (5, 6, 7), np.random.default_rng(0), (19, 0, 10))
    assert corner[0] == 15 and corner[1] == 0 and 4 <= corner[2] <= 10


def test_class_draw_follows_the_power():
    rng = np.random.default_rng(0)
    counts = [10000, 100]
    for power, share in ((0.0, 1 / 2), (0.5, 10 / 11), (1.0, 100 / 101)):
        rare = np.mean([draw_class(counts, power, rng) for _ in range(4000)])
        assert rare == pytest.approx(share, abs=3.5 * np.sqrt(share * (1 - share) / 4000))
    assert draw_class([0, 0], 0.5, rng) in (0, 1)


def test_pixel_draw_is_uniform_and_empty_masks_have_none():
    mask = np.zeros((4, 5), dtype=bool)
    mask[0, 4] = mask[3, 0] = mask[2, 2] = True
    rng = np.random.default_rng(0)
    drawn = [draw_pixel(mask, rng) for _ in range(900)]
    assert set(drawn) == {(0, 4), (3, 0), (2, 2)}
    assert min(drawn.count(pixel) for pixel in set(drawn)) > 230
    assert draw_pixel(np.zeros((3, 3), dtype=bool), rng) is None


@pytest.mark.parametrize('flip', [None, 'horizontal', 'vertical', 'diagonal'])
@pytest.mark.parametrize('target', [(9, 7), (18, 14), (27, 10)])
def test_pixel_follows_an_enlarging_resize_and_flip(flip, target):
    """Reference: index the label like nearest-neighbour resize does, then flip the array."""
    label = np.arange(9 * 7).reshape(9, 7)
    rows = np.arange(target[0]) * 9 // target[0]
    columns = np.arange(target[1]) * 7 // target[1]
    moved = label[rows][:, columns]
    moved = moved[::-1] if flip in ('vertical', 'diagonal') else moved
    moved = moved[:, ::-1] if flip in ('horizontal', 'diagonal') else moved
    for row in range(9):
        for column in range(7):
            assert moved[map_position((row, column), (9, 7), target, flip)] == label[row, column]


def test_histogram_leaves_ignore_out_for_bytes_and_wide_integers():
    label = np.array([[0, 0, 2], [255, 255, 2]])
    for dtype in (np.uint8, np.int64):
        classes, counts = class_histogram(label.astype(dtype), 255)
        assert classes.tolist() == [0, 2] and counts.tolist() == [2, 2]
    assert class_histogram(np.full((2, 2), 255, np.uint8), 255)[0].size == 0
