"""Sparse convolutions equal dense ones, have right gradients, and depend neither on order nor on place."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbdense.nn.sparse import DownConv3d, SparsePoints, SubMConv3d, UpConv3d
from imbdense.nn.sparse.kernel_map import submanifold_map
from tests.nn.sparse.clouds import Sample, at, dense, grid, nothing, points, seeded, surface

SIZES = (4, 5, 6)


def dense_weight(conv: Any, edge: int) -> Tensor:
    """The weight of a sparse convolution as ``conv3d`` wants it."""
    return conv.weight.reshape(edge, edge, edge, conv.in_channels, conv.out_channels).permute(4, 3, 0, 1, 2)


@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize(('kernel', 'dilation'), [(1, 1), (3, 1), (3, 2), (5, 1)])
@pytest.mark.parametrize('full', [True, False])
def test_submanifold_equals_dense(kernel: int, dilation: int, full: bool, dtype: torch.dtype, tolerance: float) -> None:
    """On a full grid and, where voxels are missing, at the voxels that are there; borders and bias included."""
    sample: Sample = grid(SIZES, 3, dtype)
    if not full:
        kept = torch.rand(len(sample[0]), generator=torch.Generator().manual_seed(1)) < 0.4
        sample = (sample[0][kept], sample[1][kept])
    conv = seeded(SubMConv3d, 3, 4, kernel, dilation).to(dtype)
    nn.init.normal_(conv.bias)
    wanted = F.conv3d(dense(sample, SIZES), dense_weight(conv, kernel), conv.bias, padding=dilation * (kernel // 2),
                      dilation=dilation)
    torch.testing.assert_close(conv(points(sample)).feats, at(wanted, sample[0]), rtol=0, atol=tolerance)


@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize('full', [True, False])
def test_down_and_up_equal_dense(full: bool, dtype: torch.dtype, tolerance: float) -> None:
    sizes = (4, 6, 8)
    sample: Sample = grid(sizes, 3, dtype)
    if not full:
        kept = torch.rand(len(sample[0]), generator=torch.Generator().manual_seed(1)) < 0.3
        sample = (sample[0][kept], sample[1][kept])
    down, up = seeded(DownConv3d, 3, 4).to(dtype), seeded(UpConv3d, 4, 2).to(dtype)
    coarse = down(points(sample))
    assert coarse.stride == 2
    wanted = F.conv3d(dense(sample, sizes), dense_weight(down, 2), down.bias, stride=2)
    torch.testing.assert_close(coarse.feats, at(wanted, coarse.coords[:, 1:]), rtol=0, atol=tolerance)
    back = up(coarse)
    volume = dense((coarse.coords[:, 1:], coarse.feats), (2, 3, 4))
    weight = dense_weight(up, 2).transpose(0, 1)
    wanted = F.conv_transpose3d(volume, weight, up.bias, stride=2)
    torch.testing.assert_close(back.feats, at(wanted, sample[0]), rtol=0, atol=tolerance)
    assert back.stride == 1 and torch.equal(back.coords[:, 1:], sample[0])


@pytest.mark.parametrize('make', [
    lambda: SubMConv3d(2, 3), lambda: SubMConv3d(2, 3, dilation=2), lambda: DownConv3d(2, 3),
    lambda: nn.Sequential(DownConv3d(2, 3), UpConv3d(3, 2)),
], ids=['submanifold', 'dilated', 'down', 'down and up'])
def test_gradients(make: Any) -> None:
    torch.manual_seed(0)
    conv = make().double()
    coords, feats = surface(12, channels=2)
    names, values = zip(*conv.named_parameters())

    def run(feats: Tensor, *values: Tensor) -> Tensor:
        cloud = points((coords, feats), nothing(2))
        return torch.func.functional_call(conv, dict(zip(names, values)), (cloud,)).feats

    assert torch.autograd.gradcheck(run, (feats.requires_grad_(), *values))


def test_gradients_equal_those_of_dense_convolution() -> None:
    sample = grid(SIZES, 3)
    conv = seeded(SubMConv3d, 3, 4)
    feats = sample[1].requires_grad_()
    weigh = torch.randn(len(feats), 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    found = torch.autograd.grad((conv(points((sample[0], feats))).feats * weigh).sum(), [feats, conv.weight, conv.bias])
    wanted = F.conv3d(dense((sample[0], feats), SIZES), dense_weight(conv, 3), conv.bias, padding=1)
    wanted_grads = torch.autograd.grad((at(wanted, sample[0]) * weigh).sum(), [feats, conv.weight, conv.bias])
    for one, other in zip(found, wanted_grads):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_translation_by_any_vector_gives_equal_output() -> None:
    coords, feats = surface(60)
    conv = seeded(SubMConv3d, 3, 2)
    out = conv(points((coords, feats))).feats
    for move in ([1, 0, 0], [-7, 3, 12345], [-(2**40), 2**40, 1]):
        assert torch.equal(conv(points((coords + torch.tensor(move), feats))).feats, out)


def test_any_order_of_the_voxels_gives_the_same() -> None:
    coords, feats = surface(60)
    shuffle = torch.randperm(len(coords), generator=torch.Generator().manual_seed(1))
    for conv in (seeded(SubMConv3d, 3, 2), nn.Sequential(seeded(DownConv3d, 3, 3), seeded(UpConv3d, 3, 2))):
        out, shuffled = conv(points((coords, feats))).feats, conv(points((coords[shuffle], feats[shuffle]))).feats
        torch.testing.assert_close(shuffled, out[shuffle], rtol=0, atol=1e-12)


def test_neighbours_do_not_reach_into_the_next_row_or_sample() -> None:
    """The last voxel of a row and the first of the next have neighbouring numbers, but are none."""
    coords = torch.tensor([[0, 0, 9], [0, 1, 0], [1, 0, 0]])
    pairs = submanifold_map(points((coords, torch.zeros(3, 1)), (coords + 1, torch.zeros(3, 1))), 3)
    met = {(int(s), int(d)) for source, target in pairs for s, d in zip(source, target)}
    assert met == {(row, row) for row in range(6)} | {(1, 2), (2, 1), (4, 5), (5, 4)}  # one diagonal each


def test_maps_are_made_once_per_stride_kernel_and_dilation_and_are_int32() -> None:
    cloud = points(surface(60))
    net = nn.Sequential(SubMConv3d(3, 3), SubMConv3d(3, 3), DownConv3d(3, 3), SubMConv3d(3, 3), UpConv3d(3, 3),
                        SubMConv3d(3, 3, dilation=2), SubMConv3d(3, 3, kernel=5)).double()
    net(cloud)
    assert set(cloud.maps) == {('submanifold', 1, 3, 1), ('submanifold', 2, 3, 1), ('submanifold', 1, 3, 2),
                               ('submanifold', 1, 5, 1), ('down', 1)}
    pairs = cloud.maps['submanifold', 1, 3, 1]
    assert len(pairs) == 27
    assert all(source.dtype == target.dtype == torch.int32 for source, target in pairs)
    for (source, target), (mirrored_source, mirrored_target) in zip(pairs, reversed(pairs)):
        assert torch.equal(source, mirrored_target) and torch.equal(target, mirrored_source)
        assert (torch.diff(target) > 0).all() or (torch.diff(source) > 0).all()


def test_an_empty_batch_and_one_voxel() -> None:
    net = nn.Sequential(SubMConv3d(3, 4), DownConv3d(4, 5), UpConv3d(5, 2)).double()
    out = net(points(nothing(), nothing()))
    assert out.feats.shape == (0, 2) and out.batch_size == 2
    out.feats.sum().backward()
    conv = seeded(SubMConv3d, 3, 4)
    coords, feats = torch.tensor([[-5, 7, 9]]), torch.ones(1, 3, dtype=torch.float64)
    torch.testing.assert_close(conv(points((coords, feats))).feats, feats @ conv.weight[13] + conv.bias)
    assert net(points((coords, feats))).feats.shape == (1, 2)


@pytest.mark.parametrize('stem', [SubMConv3d, DownConv3d])
def test_bfloat16_autocast_adds_up_in_float32(stem: type) -> None:
    """Products are rounded to bfloat16, sums are not: the error stays that of single products, in gradients, too."""
    sample = grid((6, 6, 6), 8, torch.float32)
    conv = seeded(stem, 8, 8).float()
    cloud = points((sample[0], sample[1].requires_grad_()))
    exact = conv(cloud).feats
    wanted = torch.autograd.grad(exact.square().sum(), [sample[1], conv.weight])
    with torch.autocast('cpu', torch.bfloat16):
        out = conv(cloud).feats
    found = torch.autograd.grad(out.square().sum(), [sample[1], conv.weight])
    assert out.dtype == torch.float32 and all(grad.dtype == torch.float32 for grad in found)
    assert len(torch.unique(out)) > 0.9 * out.numel()  # a bfloat16 sum would have a few hundred values
    for one, other in zip((out, *found), (exact, *wanted)):
        assert float(((one - other).norm() / other.norm()).detach()) < 0.01


def test_half_precision_features_are_summed_in_float32() -> None:
    coords, feats = surface(30, dtype=torch.bfloat16)
    assert SubMConv3d(3, 2)(points((coords, feats))).feats.dtype == torch.float32


def test_backward_keeps_no_gathered_rows() -> None:
    """Memory for backward is features and weights, whatever the number of pairs."""
    cloud = points(grid((5, 5, 5), 4))
    conv = seeded(SubMConv3d, 4, 4, bias=False)
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.numel()) or tensor, lambda t: t):
        conv(cloud)
    assert sum(kept) <= cloud.feats.numel() + conv.weight.numel()


def test_same_bits_under_deterministic_algorithms() -> None:
    sample = surface(200)
    conv = seeded(SubMConv3d, 3, 4)

    def run() -> tuple[Tensor, ...]:
        feats = sample[1].clone().requires_grad_()
        out = conv(points((sample[0], feats))).feats
        return out, *torch.autograd.grad(out.square().sum(), [feats, conv.weight])

    first = run()
    torch.use_deterministic_algorithms(True)
    try:
        for one, other in zip(first, run()):
            assert torch.equal(one, other)
    finally:
        torch.use_deterministic_algorithms(False)


def test_bad_input_is_named() -> None:
    coords, feats = surface(30)
    with pytest.raises(ValueError, match='expects 4 channels, but the points have 3'):
        SubMConv3d(4, 2)(points((coords, feats)))
    with pytest.raises(ValueError, match='repeat the coordinates'):
        SubMConv3d(3, 2).double()(points((coords[[0, 0, 1]], feats[:3])))
    with pytest.raises(ValueError, match='no DownConv3d led to stride 1'):
        UpConv3d(3, 2).double()(points((coords, feats)))
    with pytest.raises(ValueError, match='kernel must be odd'):
        SubMConv3d(3, 2, kernel=2)
    with pytest.raises(ValueError, match=r'\(N, 4\) int64'):
        SparsePoints(coords, feats)
    with pytest.raises(ValueError, match=f'N = {len(coords)} rows'):
        SparsePoints(points((coords, feats)).coords, feats[1:])
    with pytest.raises(ValueError, match='at least one'):
        SparsePoints.from_samples([], [])
