"""Gates over channels and pixels."""

from __future__ import annotations

import pytest
import torch

from imbdense.nn.gates import NeighbourChannelGate, PooledChannelGate, SpatialGate, SqueezeExcitation


@pytest.mark.parametrize(('channels', 'size'), [(128, 5), (256, 5), (512, 5), (1024, 5), (16, 3), (1, 1)])
def test_kernel_size_of_the_neighbour_gate(channels: int, size: int) -> None:
    assert NeighbourChannelGate(channels).conv.kernel_size == (size,)


@pytest.mark.parametrize(
    'gate',
    [NeighbourChannelGate(8), PooledChannelGate(8, 4), PooledChannelGate(8, 0), SpatialGate(), SqueezeExcitation(8)],
)
def test_gates_scale_and_keep_the_shape(gate: torch.nn.Module) -> None:
    x = torch.rand(2, 8, 5, 4) + 0.1
    factor = gate(x) / x
    assert factor.shape == x.shape and factor.min() > 0
    assert factor.max() < (2 if isinstance(gate, PooledChannelGate) else 1)


def test_hidden_width_zero_is_a_constant_per_channel() -> None:
    gate = PooledChannelGate(3, 0)
    gate.constant.data = torch.tensor([0.0, 10.0, -10.0])
    factor = gate(torch.ones(1, 3, 2, 2))[0, :, 0, 0]
    assert torch.allclose(factor, torch.tensor([1.0, 2.0, 0.0]), atol=1e-3)


def test_spatial_gate_looks_at_mean_and_maximum() -> None:
    gate = SpatialGate(bias=False)
    gate.conv.weight.data.zero_()
    gate.conv.weight.data[0, :, 3, 3] = torch.tensor([1.0, 2.0])
    x = torch.randn(1, 4, 3, 3)
    assert torch.allclose(gate(x), x * torch.sigmoid(x.mean(1, True) + 2 * x.amax(1, True)))
