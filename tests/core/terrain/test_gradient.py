from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from imbdense.core.terrain import aspect, gradient, hillshade, orientation, slope
from tests.core.terrain.surfaces import hills, plane

INSIDE = (slice(1, -1), slice(1, -1))


def test_a_plane_that_rises_to_the_east() -> None:
    z = plane(2.0, 0.0)
    dx, dy = gradient(z, (1, 1))
    east, north = orientation(z, (1, 1))
    assert dx[INSIDE].eq(2).all() and dy[INSIDE].eq(0).all()
    assert torch.allclose(slope(z, (1, 1))[INSIDE], torch.tensor(63.43494882292201).double())
    assert aspect(z, (1, 1))[INSIDE].eq(270).all()
    assert east[INSIDE].eq(-1).all() and north[INSIDE].eq(0).all()


@pytest.mark.parametrize(('east', 'south', 'azimuth'), [
    (0.0, 1.0, 0.0), (-1.0, 0.0, 90.0), (0.0, -1.0, 180.0), (1.0, 0.0, 270.0), (-1.0, 1.0, 45.0), (1.0, 1.0, 315.0),
])
def test_aspect_points_downhill(east: float, south: float, azimuth: float) -> None:
    z = plane(east, south)
    assert torch.allclose(aspect(z, (1, 1))[INSIDE], torch.tensor(azimuth).double())
    sine, cosine = orientation(z, (1, 1))
    assert torch.allclose(sine[INSIDE], torch.tensor(math.sin(math.radians(azimuth))).double(), atol=1e-12)
    assert torch.allclose(cosine[INSIDE], torch.tensor(math.cos(math.radians(azimuth))).double(), atol=1e-12)


def test_pixels_that_are_not_square_and_rows_of_their_own_width() -> None:
    dx, dy = gradient(plane(2.0, 3.0), (0.5, 2.0))
    assert dx[INSIDE].eq(4).all() and dy[INSIDE].eq(1.5).all()
    widths = torch.linspace(1, 2, 7)
    dx, _ = gradient(plane(2.0, 0.0), (widths, 1.0))
    assert torch.allclose(dx[1:-1, 3], 2 / widths[1:-1].double())


def test_flat_ground_has_no_direction() -> None:
    z = torch.full((4, 5), 3.0)
    assert torch.isnan(aspect(z, (1, 1))).all() and slope(z, (1, 1)).eq(0).all()
    assert all(part.eq(0).all() for part in orientation(z, (1, 1)))
    assert torch.allclose(hillshade(z, (1, 1)), torch.tensor(math.sin(math.radians(45))))


def test_hillshade_is_brightest_on_the_side_of_the_sun() -> None:
    shade = {azimuth: float(hillshade(plane(1.0, 0.0), (1, 1), azimuth=azimuth)[3, 3]) for azimuth in (90.0, 270.0)}
    assert shade[270.0] == pytest.approx(1.0) and shade[90.0] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize('method', ['horn', 'zevenbergen_thorne'])
def test_gradient_equals_a_slow_loop(method: str) -> None:
    z = hills(8, 9).double()
    dx, dy = gradient(z, (2.0, 3.0), method)  # type: ignore[arg-type]
    padded = np.pad(z.numpy(), 1, mode='edge')
    for row in range(8):
        for column in range(9):
            (a, b, c), (d, _, f), (g, h, i) = padded[row:row + 3, column:column + 3]
            wanted = ((c + 2 * f + i - a - 2 * d - g) / 16, (g + 2 * h + i - a - 2 * b - c) / 24) \
                if method == 'horn' else ((f - d) / 4, (h - b) / 6)
            assert (float(dx[row, column]), float(dy[row, column])) == pytest.approx(wanted)


def test_arrays_come_back_as_arrays_and_whole_numbers_are_taken() -> None:
    z = hills().numpy()
    assert isinstance(slope(z, (1, 1)), np.ndarray) and slope(z, (1, 1)).dtype == np.float32
    assert np.array_equal(slope(z, (1, 1)), slope(torch.from_numpy(z), (1, 1)).numpy())
    assert slope(z.astype(np.int16), (1, 1)).dtype == np.float32


def test_gradients_flow_to_the_elevation() -> None:
    z = hills(5, 6).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: slope(x, (1.5, 2.0)), (z,))


def test_a_batch_is_treated_raster_by_raster() -> None:
    z = torch.stack([hills(seed=1), hills(seed=2)])
    assert torch.equal(slope(z, (1, 1))[1], slope(z[1], (1, 1)))


@pytest.mark.parametrize('size', [(0.0, 1.0), (1.0,), (torch.ones(3), 1.0)])
def test_wrong_pixel_sizes_are_refused(size: tuple[object, ...]) -> None:
    with pytest.raises(ValueError, match='pixel_size'):
        slope(hills(), size)  # type: ignore[arg-type]
