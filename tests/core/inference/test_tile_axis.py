"""The lattice of tiles: every pixel is said by tiles whose weights sum to one, wherever one looks from."""

from __future__ import annotations

import math

import pytest
import torch

from imbdense.core.inference.tile_axis import TileAxis, blend_axis, halo_axis


def total_weight(axis: TileAxis) -> torch.Tensor:
    total = torch.zeros(axis.length)
    for (start, stop), weight in zip(axis.spans, axis.weights):
        total[start:stop] += weight
    return total


@pytest.mark.parametrize('length', [1, 5, 16, 17, 40, 101])
@pytest.mark.parametrize('stride', [1, 4, 12, 16])
def test_blend_weights_sum_to_one(length: int, stride: int) -> None:
    assert torch.allclose(total_weight(blend_axis(length, 16, stride)), torch.ones(length), atol=1e-6)


@pytest.mark.parametrize('length', [1, 16, 17, 40, 101])
def test_halo_spans_cut_the_axis_into_parts_with_context(length: int) -> None:
    axis = halo_axis(length, 16, 3, 4)
    assert axis.spans[0][0] == 0 and axis.spans[-1][1] == length
    assert all(one[1] == two[0] for one, two in zip(axis.spans, axis.spans[1:]))
    for origin, (start, stop) in zip(axis.origins, axis.spans):
        assert start == 0 or start - origin >= 3
        assert stop == length or origin + 16 - stop >= 3


def test_hand_example_of_blending() -> None:
    """Tile 4, stride 2, length 6: w = sin²(π/8), sin²(3π/8), ...; both tiles flat outside the shared pixels."""
    axis = blend_axis(6, 4, 2)
    assert axis.origins == (0, 2) and axis.spans == ((0, 4), (2, 6))
    falling, rising = math.sin(3 * math.pi / 8) ** 2, math.sin(math.pi / 8) ** 2
    assert axis.weights[0].tolist() == pytest.approx([1, 1, falling, rising])
    assert axis.weights[1].tolist() == pytest.approx([rising, falling, 1, 1])


def test_last_tile_is_shifted_inside_and_short_axes_have_one_tile() -> None:
    assert blend_axis(21, 8, 6).origins == (0, 6, 12, 13)
    assert blend_axis(8, 8, 6).origins == (0,) and blend_axis(3, 8, 6).spans == ((0, 3),)


def test_touching_and_reach() -> None:
    axis = halo_axis(40, 16, 3)  # centres of 10: [0, 13), [13, 23), [23, 33), [33, 40)
    assert axis.spans == ((0, 13), (13, 23), (23, 33), (33, 40))
    assert list(axis.touching(13, 23)) == [1] and list(axis.touching(12, 24)) == [0, 1, 2]
    assert axis.reach(13, 23) == (10, 26) and axis.reach(0, 40) == (0, 40)


def test_halo_that_fills_the_tile() -> None:
    with pytest.raises(ValueError, match='leaves no centre'):
        halo_axis(100, 16, 8)
    with pytest.raises(ValueError, match='stride'):
        blend_axis(100, 16, 17)
