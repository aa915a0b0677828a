"""FRACAL: boxes counted by hand, the two score forms against slow references."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from imbdense.core.inference import box_counting_dimension, fracal, fracal_frequency_shift

CORNERS = [[0.1, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.9]]


def test_four_corners_by_hand() -> None:
    # grids 1 and 2: 1 and 4 occupied cells; slope log 4 / log 2 = 2
    assert box_counting_dimension(CORNERS) == pytest.approx(2.0)


def test_a_line_by_hand() -> None:
    # four points on a line: grids 1 and 2 hold 1 and 2 cells; slope 1
    assert box_counting_dimension([[0.1, 0.5], [0.4, 0.5], [0.6, 0.5], [0.9, 0.5]]) == pytest.approx(1.0)


def test_nine_points_by_hand() -> None:
    # Nine points, g = 1, 2, 3: 1, 2, 3 cells (all in the left column of each grid): slope 1.
    column = [[0.05, y] for y in np.linspace(0.02, 0.98, 9)]
    assert box_counting_dimension(column) == pytest.approx(1.0)
    # 1, 3, 5 cells: least squares slope of log (1, 3, 5) over log (1, 2, 3)
    shape = [[0.1, 0.1], [0.5, 0.1], [0.9, 0.1], [0.1, 0.5], [0.1, 0.9], *[[0.1, 0.1]] * 4]
    x, y = np.log([1, 2, 3]), np.log([1, 3, 5])
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    assert box_counting_dimension(shape) == pytest.approx(slope)


def test_no_grid_is_finer_than_64_cells_a_side() -> None:
    # 10,000 objects on a 50 x 50 lattice would allow grids up to 100; the released code stops at 64.
    lattice = (np.arange(50) + 0.5) / 50
    points = np.repeat(np.stack(np.meshgrid(lattice, lattice), -1).reshape(-1, 2), 4, axis=0)
    sides, occupied = [], []
    for side in range(1, 65):
        taken = {(min(int(x * side), side - 1), min(int(y * side), side - 1)) for x, y in points}
        sides.append(math.log(side))
        occupied.append(math.log(len(taken)))
    assert box_counting_dimension(points) == pytest.approx(np.polyfit(sides, occupied, 1)[0])


def test_few_objects_one_place_and_the_far_border() -> None:
    assert box_counting_dimension([[0.1, 0.1], [0.9, 0.9], [0.5, 0.5]]) == 1.0
    assert box_counting_dimension(np.zeros((0, 2))) == 1.0
    assert box_counting_dimension([[0.5, 0.5]] * 50) == 1.0
    assert box_counting_dimension([[0.1, 0.1], [1.0, 0.1], [0.1, 1.0], [1.0, 1.0]]) == pytest.approx(2.0)


def test_many_uniform_points_are_two_dimensional() -> None:
    points = np.random.default_rng(0).random((4000, 2))
    assert 1.8 < box_counting_dimension(points) <= 2.0 + 1e-9
    line = np.column_stack([points[:, 0], np.full(4000, 0.3)])
    assert box_counting_dimension(line) == pytest.approx(1.0, abs=0.02)


def test_centres_outside_are_an_error() -> None:
    with pytest.raises(ValueError, match=r'must lie in \[0, 1\]'):
        box_counting_dimension([[3.0, 0.2]])


def test_frequency_shift_by_hand() -> None:
    # f = (1, .1), C = 2: -log10(1) - log10(2), -log10(.1) - log10(2); a class on no image keeps 0
    assert fracal_frequency_shift([10, 1], 10).tolist() == pytest.approx([-math.log10(2), 1 - math.log10(2)])
    assert fracal_frequency_shift([10, 0], 10)[1] == 0.0


def test_softmax_form_against_a_slow_reference() -> None:
    images, total, spread, lam = [8, 2, 0], 10, [1.9, 1.2, 1.0], 2.0
    calibration = fracal(images, total, spread, lam=lam)
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    out = calibration.apply(logits).softmax(-1)
    w = np.append(fracal_frequency_shift(images, total), 0.0)
    for row, found in zip(logits.numpy(), out.numpy()):
        p = np.exp(row + w) / np.exp(row + w).sum()
        p = p / np.append(np.array(spread) ** lam, 1.0)
        assert found == pytest.approx(p / p.sum(), rel=1e-9)


def test_sigmoid_form_against_a_slow_reference() -> None:
    images, total, spread, lam = [8, 2], 10, [1.9, 1.2], 1.5
    calibration = fracal(images, total, spread, lam=lam, use_sigmoid=True)
    logits = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    out = calibration.apply(logits, use_sigmoid=True).sigmoid().numpy()
    w, powers = fracal_frequency_shift(images, total), np.array(spread) ** lam
    for row, found in zip(logits.numpy(), out):
        second = row + w + math.log10(1 / 2) - np.log10(powers / powers.sum())
        expected = 1 / (1 + np.exp(-row)) / (1 + np.exp(-second))
        assert found == pytest.approx(expected, rel=1e-9)


def test_spread_classes_are_lowered_and_lambda_zero_ignores_the_spread() -> None:
    narrow, wide = fracal([5, 5], 10, [1.0, 2.0]).shift
    assert narrow > wide
    assert fracal([5, 5], 10, [1.0, 2.0], lam=0.0).shift == fracal([5, 5], 10, [1.0, 1.0]).shift


def test_errors() -> None:
    with pytest.raises(ValueError, match='dimensions must hold one number >= 1'):
        fracal([1, 1], 10, [0.5, 1.0])
    with pytest.raises(ValueError, match=r'in \[0, 10\]'):
        fracal([11, 1], 10, [1.0, 1.0])
