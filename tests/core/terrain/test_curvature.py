from __future__ import annotations

import torch

from imbdense.core.terrain import curvatures
from tests.core.terrain.surfaces import hills, plane


def surface(function: str) -> torch.Tensor:
    """Quadratic surfaces around the middle of 9 x 9, x to the east, y to the north, 1 m."""
    row, column = torch.meshgrid(torch.arange(9).double(), torch.arange(9).double(), indexing='ij')
    x, y = column - 4, 4 - row
    return {'trough': x**2, 'dome': -(x**2 + y**2) / 2, 'saddle': x * y}[function]


def test_a_trough_curves_along_its_slope_only() -> None:
    profile, planform, total = curvatures(surface('trough'), (1, 1))
    assert torch.allclose(profile[4, 5:8], torch.tensor(-2.0).double())
    assert torch.allclose(planform[4, 5:8], torch.tensor(0.0).double())
    assert torch.allclose(total[1:-1, 1:-1], torch.tensor(-2.0).double())


def test_a_dome_is_convex_in_every_direction() -> None:
    profile, planform, total = curvatures(surface('dome'), (1, 1))
    assert torch.allclose(profile[4, 6], torch.tensor(1.0).double())
    assert torch.allclose(planform[4, 6], torch.tensor(-1.0).double())
    assert torch.allclose(total[2:-2, 2:-2], torch.tensor(2.0).double())


def test_profile_minus_planform_is_the_total() -> None:
    profile, planform, total = (part.double() for part in curvatures(hills().double(), (2.0, 3.0)))
    assert torch.allclose(profile - planform, total, atol=1e-9)


def test_a_saddle_has_the_mixed_term() -> None:
    profile, _, total = curvatures(surface('saddle'), (1, 1))
    assert torch.allclose(total[1:-1, 1:-1], torch.tensor(0.0).double())
    # at (x, y) = (2, 2) the steepest slope is the diagonal, along which z = t²/2: curvature 1, sign as in the trough
    assert torch.allclose(profile[2, 6], torch.tensor(-1.0).double())


def test_flat_and_even_ground_has_none() -> None:
    assert all(part[1:-1, 1:-1].abs().max() == 0 for part in curvatures(plane(0.0, 0.0), (1, 1)))
    assert all(part[1:-1, 1:-1].abs().max() < 1e-12 for part in curvatures(plane(2.0, -1.0), (1, 1)))
