"""The block of VMamba and its stochastic depth."""

from __future__ import annotations

import pytest
import torch

from imbdense.nn.vss_block import DropPath, VSSBlock


def test_drop_path() -> None:
    torch.manual_seed(0)
    drop, x = DropPath(0.25), torch.ones(4000, 2, 3)
    y = drop(x)
    kept = y[:, 0, 0] > 0
    assert abs(kept.float().mean().item() - 0.75) < 0.03 and torch.allclose(y[kept], torch.tensor(1 / 0.75))
    assert torch.equal(drop.eval()(x), x)
    with pytest.raises(ValueError, match='below 1'):
        DropPath(1.0)


def test_without_mlp_half_of_the_block_is_gone() -> None:
    assert VSSBlock(8, mlp_ratio=0).mlp is None and VSSBlock(8).mlp is not None
    assert VSSBlock(8, mlp_ratio=0)(torch.randn(1, 2, 2, 8)).shape == (1, 2, 2, 8)
