"""Layers per voxel and the pool over a cloud."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from imbdense.nn.sparse import GlobalPool, PointBatchNorm, PointLinear, PointReLU
from tests.nn.sparse.clouds import nothing, points, surface


def test_pool_of_a_hand_example_with_empty_samples() -> None:
    coords = torch.tensor([[0, 0, 0], [1, 0, 0]])
    two = (coords, torch.tensor([[1.0, -4.0], [3.0, -2.0]]))
    empty = nothing(2, torch.float32)
    cloud = points(empty, two, empty)
    assert GlobalPool('mean')(cloud).tolist() == [[0.0, 0.0], [2.0, -3.0], [0.0, 0.0]]
    assert GlobalPool('max')(cloud).tolist() == [[0.0, 0.0], [3.0, -2.0], [0.0, 0.0]]
    assert GlobalPool()(points(empty)).shape == (1, 2)
    with pytest.raises(ValueError, match="'mean', 'max'"):
        GlobalPool('sum')


@pytest.mark.parametrize('reduce', ['mean', 'max'])
def test_pool_gradients(reduce: str) -> None:
    coords, feats = surface(20)
    assert torch.autograd.gradcheck(
        lambda values: GlobalPool(reduce)(points((coords, values), nothing())), (feats.requires_grad_(),))


def test_layers_equal_torchs_on_the_rows() -> None:
    coords, feats = surface(30)
    cloud = points((coords, feats))
    linear, plain = PointLinear(3, 2).double(), nn.Linear(3, 2).double()
    plain.load_state_dict(linear.state_dict())
    assert torch.equal(linear(cloud).feats, plain(feats))
    norm, batch_norm = PointBatchNorm(3, 0.1).double(), nn.BatchNorm1d(3, momentum=0.1).double()
    for _ in range(2):
        torch.testing.assert_close(norm(cloud).feats, batch_norm(feats))
    torch.testing.assert_close(norm.state_dict(), batch_norm.state_dict())
    assert torch.equal(PointReLU()(cloud).feats, feats.clamp_min(0))


def test_batch_norm_in_float32_for_half_precision_features() -> None:
    coords, feats = surface(30, dtype=torch.bfloat16)
    assert PointBatchNorm(3)(points((coords, feats))).feats.dtype == torch.float32


@pytest.mark.parametrize('count', [0, 1])
def test_batch_norm_of_fewer_than_two_voxels_uses_and_keeps_its_statistics(count: int) -> None:
    norm = PointBatchNorm(3).double().train()
    norm(points(surface(50)))
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    coords, feats = surface(50)
    cloud = points((coords[:count], feats[:count]))
    out = norm(cloud).feats
    torch.testing.assert_close(out, norm.eval()(cloud).feats)
    torch.testing.assert_close(norm.state_dict(), before)
