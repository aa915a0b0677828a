"""SparseUNet: order, place and company of the voxels do not matter."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from imbdense.core.points import grid_sample
from imbdense.nn.sparse import SparsePoints, SparseUNet


def cloud(count: int, seed: int = 0, width: int = 3) -> tuple[Tensor, Tensor]:
    """Voxels on a wavy surface and float64 features."""
    generator = torch.Generator().manual_seed(seed)
    xyz = torch.rand(count, 3, generator=generator) * 12
    xyz[:, 2] = torch.sin(xyz[:, 0]) + torch.cos(xyz[:, 1])
    coords = grid_sample(xyz, 0.5).coords
    return coords, torch.randn(len(coords), width, generator=generator, dtype=torch.float64)


def small_net(**options: object) -> SparseUNet:
    torch.manual_seed(0)
    return SparseUNet(3, 4, depth=3, blocks=(1, 1, 1), **options).double()  # type: ignore[arg-type]


def run(net: SparseUNet, *samples: tuple[Tensor, Tensor]) -> Tensor:
    coords, feats = zip(*samples)
    return net(SparsePoints.from_samples(coords, feats)).feats


def test_neither_order_nor_place_matters() -> None:
    coords, feats = cloud(800)
    shuffle = torch.randperm(len(coords), generator=torch.Generator().manual_seed(1))
    out = run(small_net(), (coords, feats))
    moved = run(small_net(), (coords[shuffle] + torch.tensor([3, -5, 17]), feats[shuffle]))
    assert torch.equal(moved, out[shuffle])


@pytest.mark.parametrize('empty_first', [True, False])
def test_a_batch_is_its_samples(empty_first: bool) -> None:
    a, b = cloud(400), cloud(300, seed=1)
    empty = (torch.empty(0, 3, dtype=torch.int64), torch.empty(0, 3, dtype=torch.float64))
    net = small_net().eval()
    samples = [empty, a, b] if empty_first else [a, empty, b]
    joint = run(net, *samples)
    torch.testing.assert_close(joint, torch.cat([run(net, a), run(net, b)]), rtol=1e-10, atol=1e-10)
