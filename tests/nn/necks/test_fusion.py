"""Fusion of two dates: channels, values, symmetry."""

from __future__ import annotations

import pytest
import torch

from imbdense.nn.necks.fusion import fuse


def test_kinds_by_hand() -> None:
    a, b = torch.tensor([[[[1.0]], [[5.0]]]]), torch.tensor([[[[4.0]], [[2.0]]]])
    assert fuse(a, b, 'diff').flatten().tolist() == [3, 3]
    assert fuse(a, b, 'concat').flatten().tolist() == [1, 5, 4, 2]
    assert fuse(a, b, 'conc+diff').flatten().tolist() == [1, 5, 4, 2, 3, 3]
    assert fuse(a, b, 'last').flatten().tolist() == [4, 2]


def test_absolute_difference_does_not_know_the_order() -> None:
    a, b = torch.randn(2, 1, 3, 4, 4)
    assert torch.equal(fuse(a, b, 'diff'), fuse(b, a, 'diff'))


def test_unknown_kind() -> None:
    with pytest.raises(ValueError, match='kind must be one of'):
        fuse(torch.ones(1, 1, 1, 1), torch.ones(1, 1, 1, 1), 'sum')  # type: ignore[arg-type]
