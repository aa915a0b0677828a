"""Mask and box features against slow references, and the small ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbdense.nn.masked_pool import MaskedPool


def slow(mask: np.ndarray, feature: np.ndarray, seen: tuple[float, float]) -> np.ndarray:
    """Sum over a grid of sub-pixels that divides both pixels and cells."""
    (height, width), (_, h, w) = mask.shape, feature.shape
    fine = 24
    total, weight = np.zeros(len(feature)), 0.0
    for y in range(height * fine):
        for x in range(width * fine):
            if mask[y // fine, x // fine]:
                row = int((y + 0.5) / fine / height * h * seen[0])
                column = int((x + 0.5) / fine / width * w * seen[1])
                total, weight = total + feature[:, row, column], weight + 1
    return total / weight


@pytest.mark.parametrize(('cells', 'seen'), [((3, 4), (1.0, 1.0)), ((4, 2), (0.75, 1.0)), ((4, 4), (0.5, 0.75))])
def test_masks_equal_a_slow_reference(cells: tuple[int, int], seen: tuple[float, float]) -> None:
    """6 x 8 pixels: cells and pixels do not divide each other."""
    rng = np.random.default_rng(0)
    feature = rng.normal(size=(5, *cells))
    pool = MaskedPool((6, 8), cells, seen)
    for _ in range(3):
        mask = rng.random((6, 8)) < 0.6
        found = pool(torch.from_numpy(feature), pool.mask_weights(torch.from_numpy(mask))[None])[0]
        np.testing.assert_allclose(found, slow(mask, feature, seen), atol=1e-5)


def test_a_window_equals_the_whole_mask() -> None:
    rng = np.random.default_rng(1)
    mask = np.zeros((40, 50), bool)
    mask[13:33, 7:30] = rng.random((20, 23)) < 0.5
    pool = MaskedPool((40, 50), (7, 6), (0.9, 1.0))
    whole = pool.mask_weights(torch.from_numpy(mask))
    torch.testing.assert_close(pool.mask_weights(torch.from_numpy(mask[13:33, 7:30]), 13, 7), whole)
    assert float(whole.sum()) == pytest.approx(1, abs=1e-6)


def test_hand_example() -> None:
    """4 x 4 pixels on 2 x 2 cells: three pixels of the first cell, two of the second."""
    mask = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0], [0] * 4, [0] * 4], dtype=torch.bool)
    pool = MaskedPool((4, 4), (2, 2))
    torch.testing.assert_close(pool.mask_weights(mask), torch.tensor([[0.6, 0.4], [0, 0]]))
    feature = torch.tensor([[[10.0, 20.0], [0.0, 0.0]]])
    assert pool(feature, pool.mask_weights(mask)[None]).tolist() == [[pytest.approx(14.0)]]


def test_small_masks_take_two_by_two_cells() -> None:
    """One pixel inside a cell of 8 x 8: 2 x 2 cells around it, not the one cell; at the corner moved inside."""
    pool = MaskedPool((64, 64), (8, 8))
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[28, 36] = True
    weights = pool.mask_weights(mask)
    torch.testing.assert_close(weights, pool.box_weights((36, 28, 37, 29)))
    grid = torch.arange(8.0) + 0.5
    assert float((weights.sum(1) * grid).sum()) * 8 == pytest.approx(28.5, abs=0.05)  # the mean place of the weights
    assert float((weights.sum(0) * grid).sum()) * 8 == pytest.approx(36.5, abs=0.05)
    assert int((weights > 0.02).sum()) > 1 and int((weights > 0).sum()) <= 16
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[0, 63] = True
    weights = pool.mask_weights(mask)
    outside = 3 / 49  # of the seven samples between 0 and 2, those beyond 1.5 touch the third cell
    assert float(weights[:2, 6:].sum()) == pytest.approx((1 - outside) ** 2, abs=1e-5)
    exactly_one = torch.zeros(64, 64, dtype=torch.bool)
    exactly_one[8:16, 8:16] = True
    assert pool.mask_weights(exactly_one)[1, 1] == 1


def test_an_empty_mask_takes_the_nearest_cell() -> None:
    pool = MaskedPool((64, 64), (8, 8))
    weights = pool.mask_weights(torch.zeros(4, 4, dtype=torch.bool), 20, 40)
    assert weights[2, 5] == 1 and weights.sum() == 1
    assert pool.box_weights((500, 500, 600, 600))[7, 7] == 1  # a box that lies outside


def test_maps_of_one_cell() -> None:
    pool = MaskedPool((5, 7), (1, 1))
    assert pool.box_weights((1, 1, 2, 2)).tolist() == [[1.0]]
    assert pool.mask_weights(torch.ones(5, 7, dtype=torch.bool)).tolist() == [[1.0]]


@pytest.mark.parametrize('box', [(3, 5, 60, 41), (0, 0, 64, 48), (-9, 20, 31, 47), (50, 40, 90, 80), (20, 2, 23, 47)])
def test_boxes_equal_the_mean_of_roi_align(box: tuple[float, ...]) -> None:
    ops = pytest.importorskip('mmcv.ops')
    feature = torch.randn(6, 12, 16, generator=torch.Generator().manual_seed(0))
    pool = MaskedPool((48, 64), (12, 16))
    rois = torch.tensor([[0, *box]]) * torch.tensor([1, 0.25, 0.25, 0.25, 0.25])
    expected = ops.roi_align(feature[None], rois, (7, 7), 1.0, 0, 'avg', True).mean((2, 3))[0]
    raw = pool(feature, pool.box_weights(box)[None])[0]
    inside = box[0] >= 0 and box[1] >= 0 and box[2] <= 64 and box[3] <= 48
    if inside:
        torch.testing.assert_close(raw, expected, atol=1e-5, rtol=1e-4)
    else:  # RoIAlign counts samples that lie outside as zeros; here they have no weight
        ratio = expected / raw
        torch.testing.assert_close(ratio, ratio[0].expand(6), atol=1e-3, rtol=1e-3)


def test_half_precision_is_accumulated_in_float32() -> None:
    """4096 cells of 1 and one of 1000: a sum in float16 would stop growing at 2048."""
    feature = torch.ones(1, 64, 64, dtype=torch.float16)
    feature[0, 0, 0] = 1000
    pool = MaskedPool((64, 64), (64, 64))
    with torch.autocast('cpu', torch.bfloat16):
        found = pool(feature, pool.mask_weights(torch.ones(64, 64, dtype=torch.bool))[None])
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx((4095 + 1000) / 4096, rel=1e-5)


def test_the_whole_image_and_no_object() -> None:
    pool = MaskedPool((6, 8), (4, 4), (0.5, 0.75))
    torch.testing.assert_close(pool.seen_weights(), pool.mask_weights(torch.ones(6, 8, dtype=torch.bool)))
    assert pool.seen_weights()[2:].sum() == 0 and pool.seen_weights()[:, 3].sum() == 0
    assert pool(torch.ones(3, 4, 4), torch.zeros(0, 4, 4)).shape == (0, 3)


def test_wrong_use() -> None:
    with pytest.raises(ValueError, match='seen'):
        MaskedPool((4, 4), (2, 2), (0.0, 1.0))
    with pytest.raises(ValueError, match=r'the map has \(3, 3\) cells, expected \(2, 2\)'):
        MaskedPool((4, 4), (2, 2))(torch.ones(1, 3, 3), torch.ones(1, 2, 2))
