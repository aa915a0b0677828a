"""How far a network looks is measured, and with that halo tiles say what one pass says."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from imbdense.core.inference.receptive_field import measure_halo


def convolutions(count: int, *extra: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Sequential(nn.Conv2d(2 if k == 0 else 4, 4, 3, padding=1), nn.ReLU()) for k in range(count)]
    return nn.Sequential(*layers, *extra).eval()


@pytest.mark.parametrize('count', [0, 1, 4])
def test_radius_of_convolutions(count: int) -> None:
    network = convolutions(count) if count else nn.Identity()
    assert measure_halo(network, 2, 64) == count


def test_pooling_and_upsampling_are_seen_in_every_phase() -> None:
    """Factor 4: a pixel at the border of its cell sees 3 beyond it, one more from a convolution at full size."""
    network = convolutions(1, nn.MaxPool2d(4), nn.Upsample(scale_factor=4, mode='nearest'))
    assert measure_halo(network, 2, 64) in (1, 4)  # 32 is a multiple of 4: the square ends with whole cells
    shifted = nn.Sequential(nn.ZeroPad2d((2, 2, 2, 2)), *network, nn.ZeroPad2d((-2, -2, -2, -2)))
    assert measure_halo(shifted, 2, 64) == 3


def test_global_networks_have_none() -> None:
    class Mean(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + x.mean((-2, -1), keepdim=True)

    assert measure_halo(Mean(), 2, 64) is None


def test_larger_than_the_interest_is_none() -> None:
    assert measure_halo(convolutions(4), 2, 64, most=3) is None
    assert measure_halo(convolutions(4), 2, 64, most=4) == 4
