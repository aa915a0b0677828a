"""The top-down path and its classifiers."""

from __future__ import annotations

import pytest
import torch

from imbdense.nn.heads.top_down import VSSTopDown, make_classifier
from tests.nn.heads.pyramids import DIMS, pyramid


def test_top_down_keeps_shapes_and_uses_every_parameter() -> None:
    decoder = VSSTopDown(DIMS, final_block=True, drop_path=0.0)
    maps = decoder(pyramid())
    assert [m.shape for m in maps] == [m.shape for m in pyramid()]
    maps[0].square().sum().backward()
    assert all(p.grad is not None for p in decoder.parameters())


def test_coarse_maps_reach_the_finest_and_not_the_other_way() -> None:
    decoder = VSSTopDown(DIMS, drop_path=0.0).eval()
    maps = pyramid()
    before = decoder(maps)
    maps[2] = maps[2] + 1
    assert not torch.allclose(decoder(maps)[0], before[0])
    maps = pyramid()
    maps[0] = maps[0] + 1
    assert torch.equal(decoder(maps)[2], before[2])


def test_classifiers() -> None:
    x = torch.randn(2, 8, 6, 5)
    plain, official = make_classifier('conv', 8, 2), make_classifier('pf_official', 8, 2)
    assert plain(x).shape == official(x).shape == (2, 2, 6, 5)
    assert sum(p.numel() for p in plain.parameters()) == 18
    assert official.channel_gate.narrow is None and official.channel_gate.constant.numel() == 6
    with pytest.raises(ValueError, match='classifier must be one of'):
        make_classifier('linear', 8, 2)
