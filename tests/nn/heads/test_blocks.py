"""PyramidFusion and the residual block."""

from __future__ import annotations

import torch

from imbdense.nn.heads.blocks import PyramidFusion, ResBlockSE


def test_pyramid_fusion_and_residual_block() -> None:
    x = torch.randn(2, 8, 6, 5)
    assert PyramidFusion(8, 4)(x).shape == (2, 4, 6, 5) and ResBlockSE(8)(x).shape == x.shape
    assert isinstance(PyramidFusion(8, 8).shortcut, torch.nn.Identity)
    assert PyramidFusion(8, 2).channel_gate.narrow.out_features == 8  # not 6 // 16 = 0
