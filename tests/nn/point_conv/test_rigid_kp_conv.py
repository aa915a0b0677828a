"""Kernel point convolution: the formula point by point, gradients, chunks, missing neighbours."""

from __future__ import annotations

import pytest
import torch

from imbdense.nn.point_conv import RigidKPConv, gather_rows, kernel_points
from imbdense.nn.point_conv import rigid_kp_conv as module


def case(seed: int = 0, points: int = 12, channels: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    xyz = torch.rand(points, 3, generator=generator)
    neighbours = torch.randint(-1, points, (points, 5), generator=generator)
    neighbours[3] = -1
    return xyz, neighbours, torch.randn(points, channels, generator=generator)


@pytest.mark.parametrize('normalize', [False, True])
def test_equals_the_formula(normalize: bool) -> None:
    xyz, neighbours, feats = case()
    conv = RigidKPConv(3, 4, sigma=0.4, count=7, normalize=normalize)
    expected = torch.zeros(12, 4)
    for i in range(12):
        reached = 0
        for j in neighbours[i].tolist():
            if j < 0:
                continue
            near = [max(0.0, 1 - float((xyz[j] - xyz[i] - conv.kernel[k]).norm()) / 0.4) for k in range(7)]
            reached += any(value > 0 for value in near)
            expected[i] += sum(value * (feats[j] @ conv.weight[k]) for k, value in enumerate(near))
        if normalize:
            expected[i] /= max(reached, 1)
    torch.testing.assert_close(conv(xyz, xyz, neighbours, feats), expected)
    assert conv(xyz, xyz, neighbours, feats)[3].abs().max() == 0


def test_chunks_and_empty_input(monkeypatch: pytest.MonkeyPatch) -> None:
    xyz, neighbours, feats = case()
    conv = RigidKPConv(3, 4, sigma=0.4)
    whole = conv(xyz, xyz, neighbours, feats)
    monkeypatch.setattr(module, 'NUMBERS_AT_ONCE', 1)
    torch.testing.assert_close(conv(xyz, xyz, neighbours, feats), whole)
    assert conv(xyz[:0], xyz, neighbours[:0], feats).shape == (0, 4)
    assert conv(xyz, xyz[:0], neighbours[:, :0], feats[:0]).abs().max() == 0


def test_gradients_and_bf16() -> None:
    xyz, neighbours, feats = case(points=5, channels=2)
    conv = RigidKPConv(2, 2, sigma=0.5, count=4).double()
    weight = conv.weight.detach().clone().requires_grad_()
    feats = feats.double().requires_grad_()

    def run(values: torch.Tensor, kernel_weight: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(conv, {'weight': kernel_weight}, (xyz.double(), xyz.double(),
                                                                            neighbours.clamp(max=4), values))

    assert torch.autograd.gradcheck(run, (feats, weight))
    with torch.autocast('cpu', torch.bfloat16):
        half = RigidKPConv(2, 2, sigma=0.5)(xyz, xyz, neighbours.clamp(max=4), feats.detach().float())
    assert half.dtype == torch.float32 and half.isfinite().all()


def test_kernel_points_are_seeded_and_spread() -> None:
    points = kernel_points(15, 1.5, seed=3)
    torch.testing.assert_close(points[1:].norm(dim=1), torch.full((14,), 1.5))
    assert points[0].abs().max() == 0 and torch.equal(points, kernel_points(15, 1.5, seed=3))
    gaps = torch.cdist(points[1:], points[1:]) + 9 * torch.eye(14)
    assert gaps.min() > 0.7  # 14 points on a sphere of 1.5: the best packing has 1.4
    assert kernel_points(7, 1.0)[1:].sum(0).norm() < 1e-3  # six points: an octahedron
    with pytest.raises(ValueError, match='at least 2'):
        kernel_points(1, 1.0)


def test_missing_rows_are_zero() -> None:
    feats = torch.ones(2, 3)
    assert gather_rows(feats, torch.tensor([1, -1])).tolist() == [[1, 1, 1], [0, 0, 0]]
    assert gather_rows(feats[:0], torch.tensor([-1])).tolist() == [[0, 0, 0]]
