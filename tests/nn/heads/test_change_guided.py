"""The guidance by the change decoder."""

from __future__ import annotations

import pytest
import torch

from imbdense.nn.heads.change_guided import ChangeGuidedAttention
from tests.nn.heads.pyramids import DIMS, pyramid


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


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
