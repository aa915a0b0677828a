"""The moving strip holds the sums a canvas of the whole raster would hold, bit for bit."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.inference.score_strip import ScoreStrip
from imbdense.core.inference.tile_axis import blend_axis


def canvas_and_strip(top: int, bottom: int, left: int, right: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random tiles of a 50 x 41 raster added to a full canvas, and to a strip over a part of it."""
    rows, columns = blend_axis(50, 12, 5), blend_axis(41, 12, 9)
    generator = torch.Generator().manual_seed(0)
    tiles = {(y, x): torch.rand((3, 12, 12), generator=generator) for y in rows.origins for x in columns.origins}
    canvas = torch.zeros((3, 50, 41))
    for (y, x), tile in tiles.items():
        canvas[:, y : y + 12, x : x + 12] += tile
    strip = ScoreStrip(3, 12, top, left, right, torch.device('cpu'))
    pieces = []
    numbers = rows.touching(top, bottom)
    for number in numbers:
        y = rows.origins[number]
        for column in columns.touching(left, right):
            strip.add(tiles[y, columns.origins[column]], y, columns.origins[column])
        stop = bottom if number == numbers[-1] else max(strip.top, rows.spans[number + 1][0])
        pieces.append(strip.finished(stop).clone())
        strip.move(stop)
    return canvas[:, top:bottom, left:right], torch.cat(pieces, dim=1)


@pytest.mark.parametrize('part', [(0, 50, 0, 41), (7, 33, 0, 41), (0, 50, 10, 30), (21, 22, 5, 6)])
def test_equal_to_the_canvas(part: tuple[int, int, int, int]) -> None:
    expected, found = canvas_and_strip(*part)
    assert torch.equal(found, expected)


def test_rows_below_the_strip_are_refused() -> None:
    strip = ScoreStrip(1, 4, 10, 0, 4, torch.device('cpu'))
    with pytest.raises(ValueError, match='move it down'):
        strip.add(torch.ones(1, 4, 4), 11, 0)
    with pytest.raises(ValueError, match='not up to 15'):
        strip.finished(15)
