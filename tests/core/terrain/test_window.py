from __future__ import annotations

import pytest
import torch

from imbdense.core.terrain import slope
from imbdense.core.terrain.window import neighbours
from tests.core.terrain.surfaces import hills, plane


def test_the_window_reads_like_a_page() -> None:
    z = torch.arange(9.0).reshape(3, 3)
    assert [float(item[1, 1]) for item in neighbours(z)] == list(range(9))
    assert [float(item[0, 0]) for item in neighbours(z)] == [0, 0, 1, 0, 0, 1, 3, 3, 4]


def test_a_missing_neighbour_is_continued_straight() -> None:
    z = plane(2.0, 0.0)
    z[3, 4] = torch.nan
    even, holes = slope(z, (1, 1), edges='extrapolate'), slope(z, (1, 1))
    kept = torch.isfinite(even)
    kept[:, [0, -1]] = False
    assert int(torch.isnan(even).sum()) == 1 and int(torch.isnan(holes).sum()) == 9
    assert torch.allclose(even[kept], torch.tensor(63.43494882292201).double())


def test_between_two_holes_the_pixel_itself_stands_in() -> None:
    z = plane(2.0, 0.0)
    z[3, 2] = z[3, 4] = torch.nan
    assert [float(item[3, 3]) for item in neighbours(z, 'extrapolate')][3:6] == [6.0, 6.0, 6.0]


def test_shapes_that_are_no_raster_are_refused() -> None:
    for shape in ((4,), (3, 0)):
        with pytest.raises(ValueError, match='raster'):
            slope(torch.zeros(shape), (1, 1))
    with pytest.raises(ValueError, match='edges'):
        slope(hills(), (1, 1), edges='mirror')  # type: ignore[arg-type]
