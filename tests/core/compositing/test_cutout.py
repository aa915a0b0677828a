"""Soft borders, mirror, scale, places."""

from __future__ import annotations

import numpy as np
import pytest

from imbdense.core.compositing import Canvas, Cutout, draw_quota, feathered_alpha, jittered, scatter


@pytest.mark.parametrize('width', [0, 1, 2, 9])
def test_alpha_is_at_least_half_exactly_on_the_mask(width):
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (1, 9), (12, 5), (20, 20)):
        mask = rng.random(shape) < 0.5
        alpha = feathered_alpha(mask, width)
        assert alpha.dtype == np.float32 and alpha.min() >= 0 and alpha.max() <= 1
        assert np.array_equal(alpha >= 0.5, mask)


def test_alpha_is_the_mean_of_the_neighbours():
    mask = np.zeros((9, 9), bool)
    mask[2:7, 2:7] = True
    alpha = feathered_alpha(mask, 1)
    assert alpha[4, 4] == 1 and alpha[2, 4] == pytest.approx(6 / 9) and alpha[1, 4] == pytest.approx(3 / 9)
    assert alpha[2, 2] == pytest.approx(0.5), 'a corner (4 of 9) is held at one half'
    assert alpha[0, 4] == 0


def test_a_box_is_soft_over_two_pixels():
    cutout = Cutout.of_box(np.full((14, 14, 1), 100, np.uint8), (2, 2, 12, 12), 0)
    image = np.zeros((30, 30, 1), np.uint8)
    assert Canvas(image).paste(cutout, 0, 0)
    assert image[7, :8, 0].tolist() == [20, 40, 60, 80, 100, 100, 100, 100], 'a ramp of two pixels on either side'


def test_mirror():
    cutout = Cutout(np.arange(12, dtype=np.uint8).reshape(2, 2, 3), np.array([[True, False], [True, True]]), 0)
    assert cutout.flipped(horizontal=True).mask.tolist() == [[False, True], [True, True]]
    both = cutout.flipped(horizontal=True, vertical=True)
    assert both.values[0, 0].tolist() == [9, 10, 11] and both.flipped(horizontal=True, vertical=True).values.tolist() \
        == cutout.values.tolist()


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize('factor', [0.5, 0.8, 1.0, 1.7, 0.01])
def test_scale_against_a_slow_reference(dtype, factor):
    rng = np.random.default_rng(0)
    values, mask = rng.integers(0, 200, (9, 13, 2)).astype(dtype), rng.random((9, 13)) < 0.6
    scaled = Cutout(values, mask, 0).scaled(factor)
    height, width = max(1, round(9 * factor)), max(1, round(13 * factor))
    assert scaled.values.shape == (height, width, 2) and scaled.mask.shape == (height, width)
    for row in range(height):
        for column in range(width):
            y = min(max((row + 0.5) * 9 / height - 0.5, 0), 8)
            x = min(max((column + 0.5) * 13 / width - 0.5, 0), 12)
            y0, x0 = int(y), int(x)
            y1, x1 = min(y0 + 1, 8), min(x0 + 1, 12)
            wanted = (
                values[y0, x0] * (1 - y + y0) * (1 - x + x0) + values[y1, x0] * (y - y0) * (1 - x + x0)
                + values[y0, x1] * (1 - y + y0) * (x - x0) + values[y1, x1] * (y - y0) * (x - x0)
            )  # fmt: skip
            assert np.abs(scaled.values[row, column] - wanted).max() <= 0.51
            assert scaled.mask[row, column] == mask[int(y + 0.5), int(x + 0.5)]


def test_scatter_keeps_the_rules_and_is_a_function_of_the_generator():
    cutouts = [Cutout(np.full((8, 8, 1), 9, np.uint8), np.ones((8, 8), bool), k, 0) for k in range(30)]

    def run(seed):
        canvas = Canvas(np.zeros((80, 100, 1), np.uint8))
        return scatter(canvas, cutouts, np.random.default_rng(seed)), canvas

    count, canvas = run(0)
    again = run(0)[1]
    assert 20 <= count == len(canvas.pasted) <= 30
    assert np.array_equal(canvas.boxes, again.boxes) and not np.array_equal(canvas.boxes[0], run(1)[1].boxes[0])
    assert all(item.mask.sum() >= 32 for item in canvas.pasted)


def test_scatter_is_uniform_and_reaches_over_the_border():
    cutout = Cutout(np.ones((10, 10, 1), np.uint8), np.ones((10, 10), bool), 0, 0)
    rng, heat = np.random.default_rng(0), np.zeros((40, 40))
    for _ in range(3000):
        canvas = Canvas(np.zeros((40, 40, 1), np.uint8))
        scatter(canvas, [cutout], rng)
        heat += canvas.image[..., 0]
    assert heat.min() > 0 and heat[15:25, 15:25].mean() == pytest.approx(heat[10:30, 5:12].mean(), rel=0.15)


def test_jitter_ranges_and_quota():
    cutout = Cutout(np.ones((20, 20, 1), np.uint8), np.ones((20, 20), bool), 0)
    rng = np.random.default_rng(0)
    sizes = [jittered(cutout, rng, ('horizontal',), (0.5, 2.0)).mask.shape[0] for _ in range(300)]
    assert min(sizes) < 13 and max(sizes) > 36 and min(sizes) >= 10 and max(sizes) <= 40
    draws = np.array([draw_quota(1.25, rng) for _ in range(4000)])
    assert set(draws.tolist()) == {1, 2} and draws.mean() == pytest.approx(1.25, abs=0.03)
    assert {draw_quota(2, rng) for _ in range(50)} == {2} and draw_quota(0, rng) == 0
