"""Siamese networks on levels: equal to the single-cloud network, zero change, missing epochs, batches, gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from imbdense.nn.change3d import FUSIONS, SiamesePoints, stages_of
from imbdense.nn.point_conv import KPConvLite
from imbdense.nn.sparse import SparseFPN18, SparsePoints, SparseUNet
from tests.helpers.point_pairs import pair_tensors, tiny_town

DEPTH = 2
DEPTHS = {'fpn': 4}
"""Levels below the first of the networks that do not choose."""


def backbone(kind: str) -> torch.nn.Module:
    torch.manual_seed(0)
    if kind == 'kp':
        return KPConvLite(1, base_channels=8, depth=DEPTH, voxel=1.0, kernel_points=5)
    if kind == 'fpn':
        return SparseFPN18(1, out_channels=16)
    return SparseUNet(1, base_channels=8, depth=DEPTH, blocks=(1,) * DEPTH)


def network(kind: str, fusion: str) -> SiamesePoints:
    other = stages_of(backbone(kind)) if fusion == 'ef' else None
    return SiamesePoints(stages_of(backbone(kind)), fusion, other)


def clouds(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    one, _, two, _, _ = tiny_town(seed, side=20.0, density=2.0)
    return one, two


def run(net: SiamesePoints, here: list[Any], there: list[Any], kind: str = 'sparse', **options: Any) -> torch.Tensor:
    depth = DEPTHS.get(kind, DEPTH)
    first, second, links = pair_tensors(here, there, 1.0, depth, limit=16 if kind == 'kp' else 0, **options)
    ones = [torch.ones(len(side.levels[0]), 1) for side in (first, second)]
    return net(first, ones[0], second, ones[1], links)


@pytest.mark.parametrize('kind', ['sparse', 'fpn'])
def test_stages_equal_the_network_they_are_taken_from(kind: str) -> None:
    net, depth = backbone(kind).eval(), DEPTHS.get(kind, DEPTH)
    cloud = clouds()[0] - clouds()[0].min(axis=0)  # the network counts cells from the smallest coordinate
    first, _, _ = pair_tensors([cloud], [cloud], 1.0, depth)
    stages, found = stages_of(net), []
    feats = x = torch.rand(len(first.levels[0]), 1)
    for level in range(depth + 1):
        x = stages.encode(level, x, first)
        found.append(x)
        assert x.shape == (len(first.levels[level]), stages.channels[level])
    expected = net(SparsePoints(first.levels[0].coords, feats)).feats
    torch.testing.assert_close(stages.decode(found, first), expected)


@pytest.mark.parametrize(('kind', 'fusion'), [
    *((kind, fusion) for kind in ('sparse', 'kp') for fusion in FUSIONS), ('fpn', 'ef')])
def test_shapes_gradients_and_batches(kind: str, fusion: str) -> None:
    net = network(kind, fusion)
    pairs = [clouds(seed) for seed in (0, 1)]
    here, there = [pair[1] for pair in pairs], [pair[0] for pair in pairs]
    out = run(net, here, there, kind)
    assert out.shape[1] == net.out_channels
    out.square().mean().backward()
    idle = {name for name, value in net.named_parameters() if value.grad is None}
    assert all(name.startswith('other.') for name in idle)  # the decoder of the other epoch's encoder
    net.eval()
    batch, single = run(net, here, there, kind), [run(net, [a], [b], kind) for a, b in zip(here, there)]
    torch.testing.assert_close(batch, torch.cat(single), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('kind', ['sparse', 'kp', 'fpn'])
def test_identical_epochs_have_no_change(kind: str) -> None:
    net = network(kind, 'diff').eval()
    seen: list[torch.Tensor] = []
    decode = net.stages.decode
    net.stages.decode = lambda feats, epoch: seen.extend(feats) or decode(feats, epoch)
    run(net, [clouds()[0]], [clouds()[0]], kind)
    assert len(seen) == DEPTHS.get(kind, DEPTH) + 1 and all(change.abs().max() == 0 for change in seen)


def test_the_finest_level_of_the_sum_begins_at_zero_and_learns() -> None:
    """A change of a single cell must not be lost: SparseFPN18 alone says the same to all cells of a parent."""
    net = network('fpn', 'diff')
    run(net, [clouds()[1]], [clouds()[0]], 'fpn').square().mean().backward()
    assert net.stages.finest.weight.abs().max() == 0 and net.stages.finest.weight.grad.abs().max() > 0


@pytest.mark.parametrize('neighbours', [1, 3])
def test_a_missing_epoch_is_zero_with_a_flag(neighbours: int) -> None:
    net = network('sparse', 'diff').eval()
    with torch.no_grad():
        for vector in net.flag:
            vector.fill_(0.5)
    seen: list[torch.Tensor] = []
    decode = net.stages.decode
    net.stages.decode = lambda feats, epoch: seen.extend(feats) or decode(feats, epoch)
    here = clouds()[1]
    run(net, [here], [here[:0]], neighbours=neighbours)
    run(net, [here], [here + [0, 0, 500.0]], neighbours=neighbours)  # all beyond reach: the same
    for alone, far in zip(seen[: DEPTH + 1], seen[DEPTH + 1 :]):
        torch.testing.assert_close(alone, far)
    first, _, _ = pair_tensors([here], [here], 1.0, DEPTH)
    own = net.stages.encode(0, torch.ones(len(first.levels[0]), 1), first)
    torch.testing.assert_close(seen[0], own + 0.5)


def test_three_neighbours_are_an_inverse_distance_mean() -> None:
    here, there = np.array([[0.5, 0.5, 0.5]]), np.array([[1.5, 0.5, 0.5], [0.5, 2.5, 0.5], [0.5, 0.5, 30.0]])
    _, _, links = pair_tensors([here], [there], 1.0, DEPTH, neighbours=3)
    values = torch.tensor([[1.0], [10.0], [5.0]])  # in the order of the cells: z = 30, y = 2.5, x = 1.5
    assert links[0].index.tolist() == [[2, 1, -1]]
    assert float(links[0].gather(values)) == pytest.approx((5.0 / 1 + 10.0 / 2) / 1.5)


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ValueError, match='fusion'):
        SiamesePoints(stages_of(backbone('sparse')), 'sum')
    with pytest.raises(ValueError, match="fusion='ef'"):
        SiamesePoints(stages_of(backbone('sparse')), 'ef')
    with pytest.raises(TypeError, match='SparseUNet, SparseFPN18 or KPConvLite'):
        stages_of(torch.nn.Linear(1, 1))
    with pytest.raises(ValueError, match='no neighbours'):
        run(network('kp', 'diff'), [clouds()[1]], [clouds()[0]])


def test_bf16_autocast() -> None:
    net = network('sparse', 'ef')
    with torch.autocast('cpu', torch.bfloat16):
        out = run(net, [clouds()[1]], [clouds()[0]])
    assert out.dtype == torch.float32 and out.isfinite().all()
