"""SparseUNet, SparseFPN18, SparsePointNetTiny: what they compute, and what must not matter to it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from imbdense.nn.sparse import SparseFPN18, SparsePointNetTiny, SparsePoints, SparseUNet
from imbdense.nn.sparse.sparse_points import canonical
from tests.nn.sparse.clouds import Sample, nothing, points, seeded, surface


def unet(**options: Any) -> SparseUNet:
    return seeded(SparseUNet, 3, 4, depth=2, blocks=(1, 2), out_channels=5, **options)


def fpn(**options: Any) -> SparseFPN18:
    return seeded(SparseFPN18, 3, 8, **options)


def tiny() -> SparsePointNetTiny:
    return seeded(SparsePointNetTiny, 3, 4)


NETS = pytest.mark.parametrize('make', [unet, fpn, tiny])


def run(net: nn.Module, *samples: Sample) -> Tensor:
    return net(points(*samples)).feats


@NETS
def test_neither_order_nor_place_matters(make: Any) -> None:
    coords, feats = surface(300)
    shuffle = torch.randperm(len(coords), generator=torch.Generator().manual_seed(1))
    out = run(make(), (coords, feats))
    moved = run(make(), (coords[shuffle] + torch.tensor([3, -5, 17]), feats[shuffle]))
    assert torch.equal(moved, out[shuffle])


@NETS
def test_a_batch_is_its_samples_with_empty_ones_between(make: Any) -> None:
    a, b = surface(150), surface(100, seed=1)
    net = make().eval()
    joint = net(points(nothing(), a, nothing(), b, nothing()))
    parts = joint.split()
    assert [len(part) for part in parts] == [0, len(a[0]), 0, len(b[0]), 0]
    torch.testing.assert_close(parts[1], run(net, a), rtol=0, atol=1e-10)
    torch.testing.assert_close(parts[3], run(net, b), rtol=0, atol=1e-10)


@NETS
def test_one_voxel_and_none(make: Any) -> None:
    net = make().train()
    for sample in (surface(1), nothing()):
        out = run(net, sample)
        assert out.shape == (len(sample[0]), net.out_channels) and bool(torch.isfinite(out).all())
        out.sum().backward()
    for name, value in net.named_buffers():
        assert bool(torch.isfinite(value).all()), name


@NETS
def test_every_parameter_learns(make: Any) -> None:
    net = make()
    run(net, surface(300)).square().mean().backward()
    for name, value in net.named_parameters():
        assert value.grad is not None and bool(value.grad.abs().sum() > 0), name


@NETS
def test_bfloat16_autocast_gives_float32_and_close_values(make: Any) -> None:
    sample = surface(200, dtype=torch.float32)
    net = make().float()
    exact = run(net, sample)
    with torch.autocast('cpu', torch.bfloat16):
        out = run(net, sample)
    out.sum().backward()
    assert out.dtype == torch.float32
    assert float(((out.float() - exact).norm() / exact.norm()).detach()) < 0.1
    assert all(bool(torch.isfinite(value.grad).all()) for value in net.parameters() if value.grad is not None)


@NETS
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')
def test_the_gpu_gives_what_the_cpu_gives(make: Any) -> None:
    coords, feats = surface(300)
    net, there = make(), make().to('cuda')
    out = run(net, (coords, feats), nothing())
    found = there(SparsePoints.from_samples([coords.to('cuda')], [feats.to('cuda')])).feats
    torch.testing.assert_close(found.cpu(), out, rtol=0, atol=1e-9)
    for one, other in zip(*(torch.autograd.grad(y.square().sum(), list(n.parameters()))
                            for y, n in ((found, there), (out, net)))):
        torch.testing.assert_close(one.cpu(), other, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize('make', [unet, fpn])
def test_checkpoint_gives_the_same_gradients_and_statistics(make: Any) -> None:
    results = []
    for checkpoint in (False, True):
        net = make(checkpoint=checkpoint)
        sample = surface(200)
        feats = sample[1].clone().requires_grad_()
        run(net, (sample[0], feats)).square().sum().backward()
        results.append((feats.grad, [value.grad for value in net.parameters()],
                        {name: value.clone() for name, value in net.named_buffers() if 'num_batches' not in name}))
    (feats_a, grads_a, state_a), (feats_b, grads_b, state_b) = results
    torch.testing.assert_close(feats_a, feats_b)
    torch.testing.assert_close(grads_a, grads_b)
    torch.testing.assert_close(state_a, state_b)


def test_checkpoint_keeps_less_for_backward() -> None:
    kept = {}
    for checkpoint in (False, True):
        net, sizes = unet(checkpoint=checkpoint), []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, s=sizes: s.append(t.numel()) or t, lambda t: t):
            run(net, surface(200))
        kept[checkpoint] = sum(sizes)
    assert kept[True] < 0.7 * kept[False]


def test_unet_has_the_layout_of_its_docstring() -> None:
    net = SparseUNet(6, 32, out_channels=5)
    widths = [(down[0].in_channels, down[0].out_channels) for down in net.down]
    assert widths == [(32, 64), (64, 128), (128, 256), (256, 256)]
    assert [(up[0].in_channels, up[0].out_channels) for up in net.up] == [(b, a) for a, b in widths]
    assert [block.conv1.in_channels for block in net.decoder] == [2 * a for a, _ in widths]
    assert net.stem[0].kernel == 3 and net.out_channels == 5
    assert isinstance(net.encoder[0][0].shortcut, nn.Identity) and not isinstance(net.decoder[0].shortcut, nn.Identity)
    assert [len(stage) for stage in SparseUNet(1, 4, 3, (2, 0, 1)).encoder] == [2, 0, 1]


def test_unet_sees_as_far_as_its_levels_and_no_sample_sees_another() -> None:
    """A change at one voxel reaches all voxels of a line through the levels, and none of the other sample."""
    line = torch.stack([torch.arange(16), torch.zeros(16, dtype=torch.int64), torch.zeros(16, dtype=torch.int64)], 1)
    feats = torch.randn(16, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    changed = feats.clone()
    changed[0] += 1.0
    net = seeded(SparseUNet, 3, 4, depth=4).eval()
    before, after = run(net, (line, feats), (line, feats)), run(net, (line, changed), (line, feats))
    moved = (before - after).abs().sum(1) > 0
    assert moved[:16].all() and not moved[16:].any()


def test_fpn_adds_what_the_ancestors_say() -> None:
    net = fpn().eval()
    assert [layer.in_features for layer in net.lateral] == [32, 64, 128, 256]
    assert net.stem[0].kernel == 5 and all(layer.bias is None for layer in net.lateral)
    coords, feats = surface(200)
    for layer in net.lateral[:3]:
        nn.init.zeros_(layer.weight)
    out = run(net, (coords, feats))  # only the coarsest level speaks: 16 x 16 x 16 voxels share a value
    cells = torch.div(coords - coords.amin(0), 16, rounding_mode='floor')
    for cell in torch.unique(cells, dim=0):
        rows = out[(cells == cell).all(1)]
        assert torch.equal(rows, rows[:1].expand_as(rows))


def test_maps_are_shared_by_several_forwards_of_one_cloud() -> None:
    cloud = points(surface(100))
    net = unet()
    net(cloud)
    inner = cloud.maps['canonical'][3]
    before = {key: id(value) for key, value in inner.items()}
    net(cloud.replace(cloud.feats * 2))
    assert {key: id(value) for key, value in inner.items()} == before and len(before) == 5


def test_canonical_sorts_moves_and_leads_back() -> None:
    coords = torch.tensor([[5, 5, 5], [4, 9, 9], [4, 9, 8]])
    cloud = points((coords, torch.arange(3.0).unsqueeze(1)))
    found, back = canonical(cloud)
    assert found.coords.tolist() == [[0, 0, 4, 3], [0, 0, 4, 4], [0, 1, 0, 0]]
    assert found.feats.flatten().tolist() == [2.0, 1.0, 0.0]
    assert back is not None and torch.equal(found.feats[back], cloud.feats)
    assert canonical(SparsePoints(found.coords, found.feats))[1] is None


@pytest.mark.parametrize(('options', 'match'), [
    ({'depth': 0, 'blocks': ()}, 'depth'), ({'depth': 3}, r'one number per level \(3\)'),
    ({'backend': 'minkowski'}, "'torch', 'spconv'"),
])
def test_bad_options_are_named(options: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        SparseUNet(3, 4, **options)
