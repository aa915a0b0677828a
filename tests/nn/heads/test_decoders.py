"""Blocks, the top-down path, classifiers and the guidance by the change decoder."""

from __future__ import annotations

import pytest
import torch

from imbdense.nn.heads.blocks import PyramidFusion, ResBlockSE
from imbdense.nn.heads.change_guided import ChangeGuidedAttention
from imbdense.nn.heads.top_down import VSSTopDown, make_classifier

DIMS = (8, 16, 32)


def pyramid(seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sizes = ((9, 7), (5, 4), (3, 2))
    return [torch.randn(2, dim, *size, generator=generator) for dim, size in zip(DIMS, sizes)]


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


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


def test_pyramid_fusion_and_residual_block() -> None:
    x = torch.randn(2, 8, 6, 5)
    assert PyramidFusion(8, 4)(x).shape == (2, 4, 6, 5) and ResBlockSE(8)(x).shape == x.shape
    assert isinstance(PyramidFusion(8, 8).shortcut, torch.nn.Identity)
    assert PyramidFusion(8, 2).channel_gate.narrow.out_features == 8  # not 6 // 16 = 0


def test_classifiers() -> None:
    x = torch.randn(2, 8, 6, 5)
    plain, official = make_classifier('conv', 8, 2), make_classifier('pf_official', 8, 2)
    assert plain(x).shape == official(x).shape == (2, 2, 6, 5)
    assert count(plain) == 18 and official.channel_gate.narrow is None and official.channel_gate.constant.numel() == 6
    with pytest.raises(ValueError, match='classifier must be one of'):
        make_classifier('linear', 8, 2)


def test_guidance_follows_its_formulas() -> None:
    maps, guides = pyramid(), pyramid(1)
    logits = torch.zeros(2, 2, 9, 7)
    logits[:, 1] = 3.0
    chance = torch.sigmoid(torch.tensor(3.0))
    found = {kind: ChangeGuidedAttention(DIMS, kind)(maps, guides, logits) for kind in ('mul', 'prob', None)}
    for f, p, multiplied, weighed, alone in zip(maps, guides, *found.values()):
        assert torch.allclose(multiplied, f * torch.sigmoid(p)) and torch.allclose(weighed, f * (1 + chance), atol=1e-5)
        assert torch.equal(alone, f)
    residual = ChangeGuidedAttention(DIMS, 'residual')
    assert count(residual) == sum(dim * dim + dim for dim in DIMS) and count(ChangeGuidedAttention(DIMS, 'mul')) == 0
    factor = residual(maps, guides, logits)[0] / maps[0]
    assert factor.min() > 1 and factor.max() < 2


@pytest.mark.parametrize('kind', ['mul', 'prob', 'residual'])
def test_gradient_to_the_change_decoder_can_be_cut(kind: str) -> None:
    guides = [guide.requires_grad_() for guide in pyramid(1)]
    logits = torch.randn(2, 2, 9, 7, requires_grad=True)
    for open_, expected in ((True, True), (False, False)):
        guide = ChangeGuidedAttention(DIMS, kind, grad_to_bcd=open_)
        guide.requires_grad_(False)
        maps = [m.requires_grad_() for m in pyramid()]
        found = torch.autograd.grad(
            sum(m.sum() for m in guide(maps, guides, logits)), [*guides, logits], allow_unused=True
        )
        assert any(g is not None for g in found) is expected
