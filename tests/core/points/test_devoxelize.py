"""From voxels back to points."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from imbdense.core.points import devoxelize, devoxelize_linear, grid_sample


def test_nearest_gives_every_point_its_voxel() -> None:
    points = torch.rand(60, 3, generator=torch.Generator().manual_seed(0)) * 4
    sample = grid_sample(points, 1.0)
    out = devoxelize(sample.coords, sample)
    assert torch.equal(out, torch.floor(points).long())
    with pytest.raises(ValueError, match=f'per voxel \\({len(sample)}\\)'):
        devoxelize(out, sample)


def test_linear_equals_a_loop_over_eight_corners() -> None:
    generator = torch.Generator().manual_seed(0)
    size, points = 0.8, torch.randn(40, 3, generator=generator)
    sample = grid_sample(points, size)
    values = torch.randn(len(sample), 2, generator=generator, dtype=torch.float64)
    row_of = {tuple(row): place for place, row in enumerate(sample.coords.tolist())}
    out = devoxelize_linear(values, sample, points, size)
    for point, found in zip(points.double(), out):
        base = torch.floor(point / size - 0.5)
        part = point / size - 0.5 - base
        total, weights = torch.zeros(2, dtype=torch.float64), 0.0
        for corner in product((0, 1), repeat=3):
            row = row_of.get(tuple((base + torch.tensor(corner)).long().tolist()))
            if row is not None:
                weight = float(torch.where(torch.tensor(corner).bool(), part, 1 - part).prod())
                total, weights = total + weight * values[row], weights + weight
        torch.testing.assert_close(found, total / weights)


def test_linear_keeps_a_linear_field_inside_a_full_grid() -> None:
    """Between occupied voxels on all sides a plane comes back exactly; a constant does everywhere."""
    steps = torch.arange(0.25, 6, 0.5, dtype=torch.float64)
    points = torch.cartesian_prod(steps, steps, steps)
    sample = grid_sample(points, 1.0)
    centres = sample.coords.double() + 0.5
    inner = ((points > 0.5) & (points < 5.5)).all(1)
    plane = devoxelize_linear(centres @ torch.tensor([[1.0], [2.0], [-3.0]]).double(), sample, points, 1.0)
    wanted = points @ torch.tensor([[1.0], [2.0], [-3.0]]).double()
    torch.testing.assert_close(plane[inner], wanted[inner])
    ones = devoxelize_linear(torch.ones(len(sample), 1), sample, points, 1.0)
    torch.testing.assert_close(ones, torch.ones(len(points), 1))


def test_gradients_and_edge_cases() -> None:
    points = torch.rand(20, 3, generator=torch.Generator().manual_seed(0)) * 3
    sample = grid_sample(points, 1.0)
    values = torch.randn(len(sample), 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: devoxelize_linear(v, sample, points, 1.0), (values,))
    empty = grid_sample(torch.empty(0, 3), 1.0)
    assert devoxelize_linear(torch.empty(0, 4), empty, torch.empty(0, 3), 1.0).shape == (0, 4)
    one = grid_sample(points[:1], 1.0)
    assert devoxelize_linear(torch.tensor([[5.0]]), one, points[:1], 1.0).item() == 5.0
    with pytest.raises(TypeError, match='labels go by devoxelize'):
        devoxelize_linear(sample.coords, sample, points, 1.0)
    with pytest.raises(ValueError, match='must be the 20'):
        devoxelize_linear(values, sample, points[:3], 1.0)
